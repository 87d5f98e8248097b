//! Keeping the directory in step, against the twin's world: what is written is what is read.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::action::sync::Way;
use lockstep::auth0::{Error, Names};
use lockstep::case::AccountId;
use lockstep::event::Lane;
use lockstep::policy::sync::Target;
use lockstep::snapshot::sync::RootField;
use lockstep::snapshot::sync::{AccountKind, OrganizationId, RoleId};
use lockstep_twin::{Hire, Setup, Vendor};
use serde_json::{Value, json};

use super::auth0_keeper::ada;
use super::{Vendors, id, with};
use crate::contract;

/// A tenant without a named enterprise connection, and an account in its database.
async fn database() -> (Vendors, AccountId) {
    let v = with(Setup::unlimited(), |_| {}, |auth0| auth0.connection = None).await;
    let account = {
        let mut world = v.twin.world();
        let person = world.hire(Hire::named("Grace Hopper"));
        world.add_database_account(person)
    };
    (v, id(&account))
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn roles_and_memberships_are_given_taken_and_read_back() {
    let (v, account) = database().await;
    let (keeper, reader) = (v.auth0.keeper(Lane::Sync), v.auth0.reader(Lane::Sync));
    {
        let mut world = v.twin.world();
        world.create_role("reader");
        world.create_role("writer");
        world.create_organization("acme");
        world.create_organization("globex");
    }
    let wanted =
        Names { roles: names(&["reader", "writer", "none"]), organizations: names(&["acme", "none"]) };
    let tenant = reader.tenant(&wanted).await.unwrap();
    assert_eq!((tenant.roles.len(), tenant.organizations.len()), (2, 1));
    let (read, write) = (tenant.roles["reader"].clone(), tenant.roles["writer"].clone());
    let acme = tenant.organizations["acme"].clone();

    keeper.assign_roles(&account, &[read.clone(), write.clone()]).await.unwrap();
    keeper.remove_roles(&account, std::slice::from_ref(&write)).await.unwrap();
    keeper.remove_roles(&account, std::slice::from_ref(&write)).await.unwrap();
    assert_eq!(reader.roles_of(&account).await.unwrap(), [read.clone()].into());

    let globex = OrganizationId(v.twin.world().organization_named("globex").unwrap().id.to_string());
    v.twin.world().join_organization(&globex.0, account.as_str());
    keeper.join_organization(&account, &acme).await.unwrap();
    keeper.join_organization(&account, &acme).await.unwrap();
    keeper.assign_organization_roles(&account, &acme, &[read.clone(), write.clone()]).await.unwrap();
    keeper.remove_organization_roles(&account, &acme, &[read]).await.unwrap();
    let managed: BTreeSet<_> = [acme.clone()].into();
    let held = reader.organizations_of(&account, &managed).await.unwrap();
    assert_eq!(held, [(acme.clone(), [write].into())].into());
    keeper.leave_organization(&account, &acme).await.unwrap();
    assert!(reader.organizations_of(&account, &managed).await.unwrap().is_empty());
    assert!(v.twin.world().is_member(&globex.0, account.as_str()), "nobody manages it");
    contract::assert_kept(&v.twin);
    v.done();
}

#[tokio::test]
async fn a_role_that_was_made_again_under_another_id_is_found_at_the_next_look() {
    let (v, account) = database().await;
    let (keeper, reader) = (v.auth0.keeper(Lane::Sync), v.auth0.reader(Lane::Sync));
    let old = v.twin.world().create_role("reader");
    let wanted = Names { roles: names(&["reader"]), ..Names::default() };
    let before = reader.tenant(&wanted).await.unwrap().roles["reader"].clone();
    assert_eq!(before, RoleId(old.clone()));
    let new = v.twin.world().recreate_role(&old);
    let stale = keeper.assign_roles(&account, &[before]).await.unwrap_err();
    assert!(stale.is_stale(), "{stale}");
    let now = reader.tenant(&wanted).await.unwrap().roles["reader"].clone();
    assert_eq!(now, RoleId(new));
    keeper.assign_roles(&account, &[now]).await.unwrap();
    v.done();
}

#[tokio::test]
async fn a_phone_number_is_written_and_a_name_only_where_the_connection_has_names() {
    let (v, _) = database().await;
    let keeper = v.auth0.keeper(Lane::Sync);
    let account = keeper
        .provision(&ada(Way::Database { connection: v.twin.setup().auth0_database.clone() }))
        .await
        .unwrap();
    let set = async |field, value: Value| {
        keeper.set_attributes(&account, &BTreeMap::from([(Target::Root(field), Some(value))])).await
    };
    let written = set(RootField::PhoneNumber, json!("+4930123456")).await.unwrap();
    assert_eq!(written.root[&RootField::PhoneNumber], "+4930123456");
    let refused = set(RootField::Username, json!("ada.l")).await.unwrap_err();
    assert!(matches!(&refused, Error::Unwritable { what, .. } if what == "username"), "{refused}");
    let connection = v.twin.world().database_connection().id.clone();
    v.twin.world().set_connection_option(&connection, "requires_username", json!(true));
    let written = set(RootField::Username, json!("ada.l")).await.unwrap();
    assert_eq!(written.root[&RootField::Username], "ada.l");
    contract::assert_kept(&v.twin);
    v.done();
}

#[tokio::test]
async fn an_account_is_made_once_changed_in_one_write_and_deleted() {
    let (v, _) = database().await;
    let (keeper, reader) = (v.auth0.keeper(Lane::Sync), v.auth0.reader(Lane::Sync));
    let new = ada(Way::Database { connection: v.twin.setup().auth0_database.clone() });
    assert_eq!(keeper.provisioned(&new).await.unwrap(), None);
    let account = keeper.provision(&new).await.unwrap();
    assert!(keeper.provision(&new).await.unwrap_err().is_exists());
    assert_eq!(keeper.provisioned(&new).await.unwrap(), Some(account.clone()));
    assert_eq!(reader.accounts_of(new.object).await.unwrap(), std::slice::from_ref(&account));

    let writes = v.twin.journal().writes(Vendor::Auth0);
    let values = [
        (Target::Root(RootField::Name), Some(json!("Ada L."))),
        (Target::AppMetadata("department".into()), None),
        (Target::UserMetadata("locale".into()), Some(json!("en-GB"))),
    ];
    let written = keeper.set_attributes(&account, &values.into()).await.unwrap();
    assert_eq!(v.twin.journal().writes(Vendor::Auth0), writes + 1);
    assert_eq!(
        Some(&written),
        reader.holding(&account).await.unwrap().as_ref(),
        "the answer is the read-back"
    );
    assert_eq!(written.kind, AccountKind::Database { connection: v.twin.setup().auth0_database.clone() });
    assert_eq!(written.root[&RootField::Name], "Ada L.");
    assert_eq!(written.user_metadata["locale"], "en-GB");
    assert!(!written.app_metadata.contains_key("department"));
    assert_eq!(
        written.app_metadata["lockstep"]["entra_object_id"],
        new.object.to_string(),
        "what we keep stays"
    );

    let same = reader.accounts_with_email("ADA@contoso.example").await.unwrap();
    assert_eq!(same.len(), 1);
    assert!(same[0].is_database && !same[0].email_verified);
    assert_eq!(same[0].owners, [new.object.to_string()].into(), "whose it is");
    keeper.delete(&account).await.unwrap();
    keeper.delete(&account).await.unwrap();
    assert_eq!(reader.holding(&account).await.unwrap(), None);
    contract::assert_kept(&v.twin);
    v.done();
}
