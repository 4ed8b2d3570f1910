//! Users, certificates and rights.

use acteon_core::sink::SinkErrorClass;
use acteon_services::{RabbitUser, SecuredRabbit};

use super::*;

/// The options of a user over TLS, and `more`.
fn options(secured: &SecuredRabbit, user: RabbitUser, more: &Value) -> Value {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let options = json!({
        "url": secured.url(user), "exchange": "orders", "routing_key": "orders.new",
        "ca_file": secured.file("authority.pem"), "client_cert": secured.file("client.pem"),
        "client_key": secured.file("client.key"),
    });
    with(options, more)
}

async fn built(options: Value) -> Arc<dyn Sink> {
    build(AmqpSinkFactory, options, Duration::from_secs(20))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_certificate_and_the_right_publishes_over_tls_and_others_do_not() {
    let secured = SecuredRabbit::start().await.unwrap();
    for exchange in ["orders", "secret"] {
        let created = secured
            .rabbit()
            .create_queue(exchange, exchange, "#", FieldTable::default());
        created.await.unwrap();
    }
    let publisher = built(options(&secured, RabbitUser::Publisher, &json!({}))).await;
    deliver(&publisher, &carrying("a", &json!(1)))
        .await
        .unwrap();
    let stored = secured.rabbit().messages("orders", 1).await.unwrap();
    assert_eq!(stored.len(), 1);
    let reached = publisher.dial().await.unwrap().unwrap();
    assert!(
        reached.contains("the exchange `orders` exists"),
        "{reached}"
    );
    let url = |user: &str, rest: &str| {
        let url = secured.url(RabbitUser::Guest);
        let (_, address) = url.split_once('@').unwrap();
        format!("amqps://{user}@{address}{rest}")
    };
    let no_certificate = {
        let mut options = options(&secured, RabbitUser::Guest, &json!({}));
        let map = options.as_object_mut().unwrap();
        map.remove("client_cert");
        map.remove("client_key");
        options
    };
    let wrong = |more: &Value| options(&secured, RabbitUser::Publisher, more);
    for (options, part) in [
        (
            wrong(&json!({"url": url("guest:hunter2", "")})),
            "authentication failed",
        ),
        (
            wrong(&json!({"url": url("guest:guest", "/nowhere")})),
            "the broker refuses",
        ),
        (
            wrong(&json!({"ca_file": "/etc/ssl/certs/ca-certificates.crt"})),
            "TLS failed",
        ),
        (no_certificate, "TLS failed"),
        (wrong(&json!({"exchange": "secret"})), "ACCESS_REFUSED"),
    ] {
        let sink = built(options).await;
        let error = deliver(&sink, &carrying("a", &json!(1))).await.unwrap_err();
        assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error:?}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(part), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        if let Err(dialled) = sink.dial().await {
            assert!(dialled.source.is_none(), "its text would be repeated");
            assert!(!dialled.to_string().contains("hunter2"), "{dialled}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_routing_key_the_user_may_not_write_to_fails_its_action_alone() {
    let secured = SecuredRabbit::start().await.unwrap();
    let created = secured
        .rabbit()
        .create_queue("orders", "orders", "#", FieldTable::default());
    created.await.unwrap();
    let user = RabbitUser::Publisher.name();
    let rights = ["set_topic_permissions", user, "orders", "^orders[.]", ""];
    secured.rabbit().control(&rights).await.unwrap();
    let key = json!({"routing_key": "{{ payload.at }}.new"});
    let sink = built(options(&secured, RabbitUser::Publisher, &key)).await;
    let actions = ["orders", "secret", "orders"]
        .iter()
        .enumerate()
        .map(|(n, at)| carrying(&n.to_string(), &json!({"at": at})));
    let mut results = deliver_all(&sink, actions).await;
    let error = results.remove(1).unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Deferred, "{error:?}");
    assert!(error.message.contains("the routing key"), "{error}");
    assert!(!error.message.contains("secret"), "{error}");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let key = json!({"routing_key": "secret.new"});
    let sink = built(options(&secured, RabbitUser::Publisher, &key)).await;
    let error = deliver(&sink, &carrying("a", &json!(1))).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error:?}");
}
