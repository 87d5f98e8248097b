//! People who change: names, departments, managers, every kind of property that Entra has for them.

use super::World;
use super::changes::Touched;
use super::people::PersonId;
use jiff::Timestamp;
use serde_json::Value;

impl World {
    /// The person has a new display name.
    pub fn rename(&mut self, id: PersonId, display_name: &str) {
        self.set_property(id, "displayName", display_name.into());
    }

    /// The person has a new user principal name, after a marriage or a merger. Panics if it is taken.
    pub fn set_upn(&mut self, id: PersonId, upn: &str) {
        let before = self.person(id).upn.to_lowercase();
        self.by_upn.remove(&before);
        let taken = self.by_upn.insert(upn.to_lowercase(), id);
        assert!(taken.is_none(), "the UPN {upn} is taken");
        let touched = Touched::property("userPrincipalName");
        self.change_person(id, touched, |person| person.upn = upn.to_owned());
    }

    /// The person moves to another department and job, as one change.
    pub fn move_to(&mut self, id: PersonId, department: &str, job_title: &str) {
        let touched = Touched::properties(&["department", "jobTitle"]);
        self.change_person(id, touched, |person| {
            person.set("department", department.into());
            person.set("jobTitle", job_title.into());
        });
    }

    /// The person gets another manager, or none.
    pub fn set_manager(&mut self, id: PersonId, manager: Option<PersonId>) {
        self.change_person(id, Touched::property("manager"), |person| {
            person.former_manager = std::mem::replace(&mut person.manager, manager);
        });
    }

    /// Clears a Graph property: it is null from now on, which is not the same as never set.
    pub fn clear_property(&mut self, id: PersonId, name: &str) {
        self.set_property(id, name, Value::Null);
    }

    /// Sets or clears `extensionAttribute1` to `extensionAttribute15` of `onPremisesExtensionAttributes`.
    pub fn set_extension_attribute(&mut self, id: PersonId, number: u8, value: Option<&str>) {
        assert!((1..=15).contains(&number), "there are fifteen extension attributes");
        self.change_person(id, Touched::property("onPremisesExtensionAttributes"), |person| {
            let all = person.properties.entry("onPremisesExtensionAttributes");
            let all = all.or_insert_with(|| {
                (1..=15).map(|n| (format!("extensionAttribute{n}"), Value::Null)).collect()
            });
            all[format!("extensionAttribute{number}")] = value.into();
        });
    }

    /// Sets or, with null, clears the directory extension `extension_{app}_{name}`, and registers it. `app` is an
    /// application id, with or without its dashes (Graph, Add custom data to resources).
    pub fn set_directory_extension(&mut self, id: PersonId, app: &str, name: &str, value: Value) {
        let full = self.register_extension(app, name);
        self.set_property(id, &full, value);
    }

    /// An application registers a directory extension; only registered ones can be selected. Returns its full name.
    pub fn register_extension(&mut self, app: &str, name: &str) -> String {
        let full = format!("extension_{}_{name}", app.replace('-', ""));
        self.extensions.insert(full.clone());
        full
    }

    pub(crate) fn has_extension(&self, full_name: &str) -> bool {
        self.extensions.contains(full_name)
    }

    /// A guest accepts the invitation (user resource type: `externalUserState`).
    pub fn accept_invitation(&mut self, id: PersonId) {
        let touched = Touched::properties(&["externalUserState", "externalUserStateChangeDateTime"]);
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        self.change_person(id, touched, |person| {
            person.set("externalUserState", "Accepted".into());
            person.set("externalUserStateChangeDateTime", now.into());
        });
    }

    /// Sets a Graph property of the person (`department`, `jobTitle`…); `Value::Null` clears it.
    pub fn set_property(&mut self, id: PersonId, name: &str, value: Value) {
        self.change_person(id, Touched::property(name), |person| person.set(name, value));
    }
}
