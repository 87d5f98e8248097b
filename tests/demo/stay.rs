//! `--stay`: both keep running, with lines to try.

use anstream::println;
use anyhow::Context;
use lockstep_twin::{PersonId, control};
use owo_colors::OwoColorize;

use super::Stage;

pub async fn stay(stage: &Stage, person: PersonId) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let control_url = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn(control::serve(stage.twin.clone(), listener));
    let public = stage.lockstep.public_addr;
    let admin = stage.lockstep.admin_addr;
    let data_dir = &stage.env["LOCKSTEP_DATA_DIR"];
    let tenant = &stage.env["ENTRA_TENANT_ID"];
    let secret = &stage.env["AZURE_MONITOR_SECRET"];
    println!("\n{}", "Staying. Try, in another terminal:".bold());
    println!("\n# raise her risk again, and tell Lockstep by Azure Monitor's webhook");
    println!(
        "curl -s -X POST {control_url}/twin/raise-risk -H 'content-type: application/json' \\\n  -d '{{\"person\":\"{person}\",\"level\":\"high\",\"detection\":\"passwordSpray\"}}'"
    );
    println!(
        "curl -si -X POST 'http://{public}/webhooks/azure-monitor?secret={secret}' -H 'content-type: application/json' \\\n  -d '{}'",
        azure_alert(person)
    );
    println!("\n# or disable her in Entra; Graph only says that something was updated");
    println!(
        "curl -s -X POST {control_url}/twin/disable -H 'content-type: application/json' -d '{{\"person\":\"{person}\"}}'"
    );
    println!(
        "curl -si -X POST http://{public}/webhooks/graph -H 'content-type: application/json' \\\n  -d '{}'",
        notification(stage, person, tenant)
    );
    println!("\n# look");
    println!(
        "curl -s -H \"authorization: Bearer $(cat {data_dir}/admin.token)\" http://{admin}/api/v1/cases"
    );
    println!("curl -s {control_url}/twin/state");
    println!("curl -s http://{admin}/metrics | grep containment");
    println!("\n{}", "Ctrl-C ends it.".dimmed());
    tokio::signal::ctrl_c().await.context("Ctrl-C cannot be listened for")?;
    serving.abort();
    Ok(())
}

fn azure_alert(person: PersonId) -> serde_json::Value {
    let dimension = |name: &str, value: String| serde_json::json!({ "name": name, "value": value });
    let dimensions = [dimension("UserId", person.to_string()), dimension("RiskLevel", "high".to_owned())];
    serde_json::json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": { "monitorCondition": "Fired", "signalType": "Log", "monitoringService": "Log Alerts V2" },
            "alertContext": { "conditionType": "LogQueryCriteria", "condition": { "allOf": [{ "dimensions": dimensions }] } },
        },
    })
}

fn notification(stage: &Stage, person: PersonId, tenant: &str) -> serde_json::Value {
    serde_json::json!({ "value": [{
        "changeType": "updated",
        "clientState": stage.env["GRAPH_CLIENT_STATE"],
        "resource": format!("Users/{person}"),
        "resourceData": { "@odata.type": "#Microsoft.Graph.User", "id": person.to_string() },
        "subscriptionId": "76222963-cc7b-42d2-882d-8aaa69cb2ba3",
        "subscriptionExpirationDateTime": "2027-01-01T00:00:00Z",
        "tenantId": tenant,
    }] })
}
