//! The control plane, as somebody with curl meets it.

use lockstep_twin::{Setup, Twin, control};
use serde_json::{Value, json};

struct Plane {
    twin: Twin,
    url: String,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Plane {
    async fn open() -> Plane {
        let twin = Twin::start(Setup::default()).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/twin", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(control::serve(twin.clone(), listener));
        Plane { twin, url, serving }
    }

    async fn post(&self, verb: &str, body: Value) -> (u16, Value) {
        let request = reqwest::Client::new().post(format!("{}/{verb}", self.url)).body(body.to_string());
        read(request.send().await.expect("an answer")).await
    }

    async fn get(&self, page: &str) -> Value {
        read(reqwest::get(format!("{}/{page}", self.url)).await.expect("an answer")).await.1
    }
}

async fn read(answer: reqwest::Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).expect("JSON"))
}

#[tokio::test]
async fn people_are_hired_put_at_risk_and_shown() {
    let plane = Plane::open().await;
    let (status, hired) = plane.post("hire", json!({"name": "Adele Vance"})).await;
    assert_eq!(status, 200);
    let account = hired["accounts"][0].as_str().expect("an enterprise account").to_owned();
    assert_eq!(plane.post("hire", json!({"name": "Adele Vance"})).await.0, 409);
    let (_, signed_in) = plane.post("sign-in", json!({"account": account})).await;
    assert_eq!(signed_in["let_in"], json!(true));
    plane.post("raise-risk", json!({"person": "adele.vance@contoso.example"})).await;
    plane.post("block-account", json!({"account": account})).await;
    let state = plane.get("state").await;
    let person = &state["people"][0];
    assert_eq!(person["risk"], json!({"level": "high", "state": "atRisk"}));
    assert_eq!(
        (&person["accounts"][0]["blocked"], &person["accounts"][0]["sessions"]),
        (&json!(true), &json!(1))
    );
    assert!(plane.twin.world().account(&account).blocked);
}

#[tokio::test]
async fn people_move_and_groups_have_members() {
    let plane = Plane::open().await;
    let adele = "adele.vance@contoso.example";
    plane.post("hire", json!({"name": "Adele Vance"})).await;
    plane.post("hire", json!({"name": "Miriam Graham"})).await;
    for name in ["Staff", "Shops"] {
        assert_eq!(plane.post("create-group", json!({"name": name})).await.0, 200);
    }
    let verbs = [
        ("move", json!({"person": adele, "department": "Retail", "job_title": "Manager"})),
        ("rename", json!({"person": adele, "name": "Adele Wilber"})),
        ("set-manager", json!({"person": adele, "manager": "miriam.graham@contoso.example"})),
        ("set-property", json!({"person": adele, "name": "officeLocation", "value": "18/2111"})),
        ("add-member", json!({"group": "Shops", "person": adele})),
        ("add-member", json!({"group": "Staff", "member": "Shops"})),
        ("rename-group", json!({"group": "Staff", "name": "Everybody"})),
        ("lag", json!({"reads": 2})),
        ("lag", json!({})),
        ("expire-links", json!({})),
    ];
    for (verb, arguments) in verbs {
        assert_eq!(plane.post(verb, arguments).await.0, 200, "{verb}");
    }
    {
        let world = plane.twin.world();
        let person = world.find_person_by_upn(adele).expect("hired");
        assert_eq!(
            (person.text("department"), person.text("officeLocation")),
            (Some("Retail"), Some("18/2111"))
        );
        assert_eq!(world.transitive_groups_of(person.id).len(), 2);
    }
    plane.post("remove-member", json!({"group": "Everybody", "member": "Shops"})).await;
    plane.post("soft-delete-group", json!({"group": "Everybody"})).await;
    let state = plane.get("state").await;
    let groups = state["groups"].as_array().expect("groups");
    let everybody = groups.iter().find(|group| group["name"] == "Everybody").expect("renamed");
    assert_eq!((&everybody["deleted"], &everybody["members"]), (&json!(true), &json!([])));
    let fault =
        json!({"vendor": "graph", "route": "/users/delta", "fault": "page-short", "rows": 1, "times": 1});
    assert_eq!(plane.post("fault", fault).await.0, 200);
}

#[tokio::test]
async fn faults_strike_and_are_journalled() {
    let plane = Plane::open().await;
    let fault = json!({"vendor": "auth0", "fault": "throttle", "times": 1, "retry_after": "3"});
    assert_eq!(plane.post("fault", fault).await.0, 200);
    let throttled =
        reqwest::get(format!("{}/api/v2/users", plane.twin.urls().auth0_url)).await.expect("an answer");
    assert_eq!(throttled.status().as_u16(), 429);
    assert_eq!(plane.get("journal").await[0]["status"], json!(429));
    assert_eq!(plane.get("complaints").await, json!([]));
}

#[tokio::test]
async fn mistakes_are_named() {
    let plane = Plane::open().await;
    assert_eq!(plane.post("dance", json!({})).await.0, 404);
    assert_eq!(plane.post("raise-risk", json!({})).await, (400, json!({"error": "\"person\" is missing"})));
    assert_eq!(plane.post("disable", json!({"person": "nobody@contoso.example"})).await.0, 404);
    assert_eq!(plane.post("fault", json!({"vendor": "okta", "fault": "stall"})).await.0, 400);
    let verbs = plane.get("verbs").await;
    for verb in verbs.as_object().expect("verbs").keys() {
        assert_ne!(plane.post(verb, json!({})).await.0, 404, "{verb} is told and not known");
    }
}

#[tokio::test]
async fn the_tenant_is_arranged_and_shown() {
    let plane = Plane::open().await;
    let (_, hired) = plane.post("hire", json!({"name": "Adele Vance"})).await;
    let account = hired["accounts"][0].as_str().expect("an enterprise account").to_owned();
    let (_, made) = plane.post("create-role", json!({"name": "Reader"})).await;
    assert_eq!(plane.post("create-role", json!({"name": "Reader"})).await.0, 409);
    plane.post("create-organization", json!({"name": "acme"})).await;
    plane.post("grant-role", json!({"account": account, "role": "Reader"})).await;
    plane.post("join-organization", json!({"account": account, "organization": "acme"})).await;
    let shown = plane.get("state").await["people"][0]["accounts"][0].clone();
    assert_eq!((&shown["roles"], &shown["organizations"]), (&json!(["Reader"]), &json!(["acme"])));
    let (_, again) = plane.post("recreate-role", json!({"role": made["role"]})).await;
    assert_ne!(made["role"], again["role"]);
    assert_eq!(plane.get("state").await["people"][0]["accounts"][0]["roles"], json!([]));
    plane.post("leave-organization", json!({"account": account, "organization": "acme"})).await;
    assert_eq!(plane.post("grant-role", json!({"account": account, "role": "Nothing"})).await.0, 404);
    assert_eq!(plane.post("grant-scope", json!({"scope": "create:roles"})).await.0, 200);
}
