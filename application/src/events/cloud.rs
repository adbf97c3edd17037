//! Events of the log as `CloudEvents` 1.0.2 (JSON format).

use chrono::SecondsFormat;
use gadwall_domain::events::LoggedEvent;
use serde_json::{Map, Value, json};

use super::interest::TYPE_PREFIX;
use crate::record::MARK;

/// An event with its attributes. `id` is its position, which is unique in the log and so with its source.
pub fn cloud_event(event: &LoggedEvent) -> Value {
    let mut attributes = Map::new();
    let mut set = |name: &str, value: Value| attributes.insert(name.to_owned(), value);
    set("specversion", json!("1.0"));
    set("id", json!(event.position.to_string()));
    set("source", json!(format!("/projects/{}", event.project)));
    set("type", json!(format!("{TYPE_PREFIX}{}", event.event_type)));
    if !event.subject.is_empty() {
        set("subject", json!(event.subject));
    }
    set("time", json!(event.occurred_at.to_rfc3339_opts(SecondsFormat::Micros, true)));
    set("datacontenttype", json!("application/json"));
    set("requestid", json!(event.request_id));
    if let Some(snapshot) = event.snapshot {
        // Numbers of extensions have 32 bits.
        set("snapshotid", json!(snapshot.to_string()));
    }
    let mut data = event.data.clone();
    if let Some(data) = data.as_object_mut() {
        data.remove(MARK);
    }
    set("data", data);
    Value::Object(attributes)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use gadwall_domain::ids::{RequestId, SnapshotId};
    use gadwall_domain::names::ProjectId;

    use super::*;

    #[test]
    fn an_event_has_the_attributes_that_the_standard_asks_for() {
        let event = LoggedEvent {
            position: 7,
            project: ProjectId::parse("p").unwrap(),
            event_type: "table.created".to_owned(),
            subject: "b.t".to_owned(),
            occurred_at: DateTime::UNIX_EPOCH,
            request_id: RequestId::parse("r1").unwrap(),
            snapshot: Some(SnapshotId::new(3).unwrap()),
            data: json!({ "x": 1, "request_digest": "secret" }),
        };
        let expected = json!({
            "specversion": "1.0",
            "id": "7",
            "source": "/projects/p",
            "type": "dev.gadwall.table.created",
            "subject": "b.t",
            "time": "1970-01-01T00:00:00.000000Z",
            "datacontenttype": "application/json",
            "requestid": "r1",
            "snapshotid": "3",
            "data": { "x": 1 },
        });
        assert_eq!(cloud_event(&event), expected);
        let names = cloud_event(&event);
        let fits = |name: &String| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        assert!(names.as_object().unwrap().keys().all(fits));
    }
}
