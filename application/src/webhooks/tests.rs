//! Deliveries over a sender that does as it is told.

use std::sync::Mutex;

use async_trait::async_trait;
use gadwall_domain::webhook::{MAX_ATTEMPTS, WebhookUrlError};
use serde_json::Value;

use super::*;
use crate::testing::SeqIds;
use crate::testing::builders::{event, project_id};
use crate::world::World;

#[derive(Default)]
struct Scripted {
    sent: Mutex<Vec<Delivery>>,
    fails: Mutex<bool>,
}

#[async_trait]
impl WebhookSender for Scripted {
    async fn check(&self, url: &WebhookUrl) -> Result<(), WebhookUrlError> {
        if url.as_str().contains("inside") { Err(WebhookUrlError::Private) } else { Ok(()) }
    }

    async fn send(&self, _: &WebhookUrl, _: &WebhookSecret, delivery: &Delivery) -> Result<(), DeliveryError> {
        if *self.fails.lock().unwrap() {
            return Err(DeliveryError::Status(503));
        }
        self.sent.lock().unwrap().push(delivery.clone());
        Ok(())
    }
}

struct Hooked {
    world: World,
    sender: Arc<Scripted>,
    webhooks: Webhooks,
    owner: Caller,
}

impl Hooked {
    async fn new() -> Self {
        let world = World::new();
        let (_, owner) = world.project("p").await;
        let sender = Arc::new(Scripted::default());
        let webhooks = Webhooks::new(
            Arc::clone(&world.store) as _,
            Arc::clone(&world.access),
            Arc::clone(&sender) as _,
            Arc::clone(&world.clock) as _,
            Arc::new(SeqIds::default()),
        );
        Self { world, sender, webhooks, owner }
    }

    async fn hook(&self, types: Option<&str>) -> Webhook {
        let url = WebhookUrl::parse("https://example.org/hook").unwrap();
        self.webhooks.create(&self.owner, &project_id("p"), url, types.map(str::to_owned)).await.unwrap()
    }

    async fn log(&self, types: &[&'static str]) {
        let events: Vec<_> =
            types.iter().map(|event_type| gadwall_domain::events::Event { event_type, ..event("p") }).collect();
        let mut tx = self.world.store.write().await.unwrap();
        tx.events().append(&events).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn sent(&self) -> Vec<String> {
        let sent = self.sender.sent.lock().unwrap();
        let kind = |delivery: &Delivery| {
            let body: Value = serde_json::from_str(&delivery.body).unwrap();
            body["type"].as_str().unwrap().to_owned()
        };
        sent.iter().map(kind).collect()
    }
}

#[tokio::test]
async fn events_are_told_in_order_from_when_the_webhook_was_made() {
    let hooked = Hooked::new().await;
    hooked.hook(Some("rows.*")).await;
    assert_eq!(hooked.webhooks.deliver().await.unwrap(), Told::default(), "nothing of the time before");
    hooked.log(&["rows.appended", "table.created", "rows.deleted"]).await;
    let told = hooked.webhooks.deliver().await.unwrap();
    assert_eq!(told, Told { webhooks: 1, delivered: 2, given_up: 0 });
    assert_eq!(hooked.sent(), ["dev.gadwall.rows.appended", "dev.gadwall.rows.deleted"]);
    assert_eq!(hooked.webhooks.deliver().await.unwrap(), Told::default());
}

#[tokio::test]
async fn a_failure_is_tried_again_later_and_given_up_in_the_end() {
    let hooked = Hooked::new().await;
    let hook = hooked.hook(None).await;
    *hooked.sender.fails.lock().unwrap() = true;
    hooked.log(&["rows.appended", "rows.deleted"]).await;
    let p = project_id("p");
    for attempt in 1..MAX_ATTEMPTS {
        assert_eq!(hooked.webhooks.deliver().await.unwrap().webhooks, 1, "attempt {attempt}");
        assert_eq!(hooked.webhooks.deliver().await.unwrap().webhooks, 0, "not before its time");
        let known = hooked.webhooks.get(&hooked.owner, &p, &hook.id.to_string()).await.unwrap();
        assert_eq!(known.progress.attempts, attempt);
        assert_eq!(known.progress.error.as_deref(), Some("the address answered with status 503"));
        hooked.world.clock.advance(TimeDelta::hours(1));
    }
    assert_eq!(hooked.webhooks.deliver().await.unwrap(), Told { webhooks: 1, delivered: 0, given_up: 1 });
    let dead = hooked.webhooks.dead_letters(&hooked.owner, &p, &hook.id.to_string()).await.unwrap();
    assert_eq!((dead.len(), dead[0].event_type.as_str(), dead[0].attempts), (1, "rows.appended", MAX_ATTEMPTS));
    *hooked.sender.fails.lock().unwrap() = false;
    hooked.world.clock.advance(TimeDelta::hours(1));
    assert_eq!(hooked.webhooks.deliver().await.unwrap().delivered, 1, "the next one is told");
    assert_eq!(hooked.sent(), ["dev.gadwall.rows.deleted"]);
}

#[tokio::test]
async fn what_a_crash_cut_short_is_told_again_under_the_same_id() {
    let hooked = Hooked::new().await;
    let hook = hooked.hook(None).await;
    hooked.log(&["rows.appended"]).await;
    hooked.webhooks.deliver().await.unwrap();
    // As if how far it came had never been kept, and its server was gone.
    let mut tx = hooked.world.store.write().await.unwrap();
    tx.webhooks().keep(hook.id, &hook.progress).await.unwrap();
    let now = hooked.world.clock.now();
    assert!(tx.webhooks().claim(hook.id, now, now + CLAIM).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(hooked.webhooks.deliver().await.unwrap().webhooks, 0, "another server may still be at it");
    hooked.world.clock.advance(CLAIM);
    assert_eq!(hooked.webhooks.deliver().await.unwrap().delivered, 1);
    let sent = hooked.sender.sent.lock().unwrap();
    assert_eq!((sent.len(), &sent[0].id), (2, &sent[1].id));
}

#[tokio::test]
async fn only_so_many_and_only_outside() {
    let hooked = Hooked::new().await;
    let p = project_id("p");
    let create = async |url: &str, types: Option<&str>| {
        let url = WebhookUrl::parse(url).unwrap();
        hooked.webhooks.create(&hooked.owner, &p, url, types.map(str::to_owned)).await
    };
    assert!(matches!(create("http://inside/", None).await, Err(UseCaseError::Webhook(WebhookUrlError::Private))));
    assert!(matches!(create("http://x/", Some("nonsense")).await, Err(UseCaseError::Events(_))));
    for _ in 0..MAX_WEBHOOKS {
        hooked.hook(None).await;
    }
    let more = create("http://x/", None).await;
    assert!(matches!(more, Err(UseCaseError::Events(EventsError::TooManyWebhooks(_)))), "{more:?}");
    let all = hooked.webhooks.list(&hooked.owner, &p).await.unwrap();
    assert_eq!(all.len(), MAX_WEBHOOKS);
    assert!(all[0].secret != all[1].secret);
    let id = all[0].id.to_string();
    let (_, other) = hooked.world.project("q").await;
    assert!(hooked.webhooks.get(&other, &project_id("q"), &id).await.is_err());
    hooked.webhooks.remove(&hooked.owner, &p, &id).await.unwrap();
    assert!(hooked.webhooks.remove(&hooked.owner, &p, &id).await.is_err());
}
