//! Users, certificates and permissions.

use acteon_core::FailureCode;
use acteon_core::sink::SinkErrorClass;
use acteon_services::{NatsUser, OperatedNats, SecuredNats, foreign_credentials};
use async_nats::jetstream;

use super::*;

/// The options of a user, and `more`.
fn options(secured: &SecuredNats, user: NatsUser, more: &Value) -> Value {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let address = secured.nats().address().replace("127.0.0.1", "localhost");
    let options = json!({
        "url": format!("tls://{address}"), "subject": "orders.new",
        "username": user.name(), "password": NatsUser::PASSWORD,
        "ca_file": secured.file("authority.pem"), "client_cert": secured.file("client.pem"),
        "client_key": secured.file("client.key"),
    });
    with(options, more)
}

async fn built(options: Value) -> Arc<dyn Sink> {
    build(NatsSinkFactory, options, Duration::from_secs(10))
        .await
        .unwrap()
}

/// Creates the stream.
async fn stream(secured: &SecuredNats) -> jetstream::stream::Stream {
    let url = secured.nats().url().replace("127.0.0.1", "localhost");
    let name = NatsUser::Admin.name().to_owned();
    let connect =
        async_nats::ConnectOptions::with_user_and_password(name, NatsUser::PASSWORD.into())
            .add_root_certificates(secured.file("authority.pem"))
            .add_client_certificate(secured.file("client.pem"), secured.file("client.key"));
    let client = connect.connect(url).await.unwrap();
    let config = stream::Config {
        name: "ORDERS".into(),
        subjects: vec!["orders.>".into(), "secret.>".into()],
        ..stream::Config::default()
    };
    jetstream::new(client).create_stream(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_certificate_publishes_over_tls() {
    let secured = SecuredNats::start().await.unwrap();
    let sink = built(options(&secured, NatsUser::Admin, &json!({}))).await;
    stream(&secured).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
    let reached = sink.dial().await.unwrap().unwrap();
    assert!(
        reached.contains("the stream `ORDERS` takes its messages"),
        "{reached}"
    );
    let in_url = format!(
        "tls://{}:{}@localhost:{}",
        NatsUser::Admin.name(),
        NatsUser::PASSWORD,
        secured.nats().address().rsplit(':').next().unwrap()
    );
    let mut others = options(&secured, NatsUser::Admin, &json!({"url": in_url}));
    let others = {
        let map = others.as_object_mut().unwrap();
        map.remove("username");
        map.remove("password");
        others
    };
    deliver(&built(others).await, &carrying("b", &json!(1)))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_user_or_certificate_is_the_fault_of_the_provider_and_stays_secret() {
    let secured = SecuredNats::start().await.unwrap();
    let no_certificate = {
        let mut options = options(&secured, NatsUser::Admin, &json!({}));
        let map = options.as_object_mut().unwrap();
        map.remove("client_cert");
        map.remove("client_key");
        options
    };
    let untrusted = json!({"ca_file": "/etc/ssl/certs/ca-certificates.crt"});
    for (options, part) in [
        (
            options(&secured, NatsUser::Admin, &json!({"password": "hunter2"})),
            "authentication failed",
        ),
        (options(&secured, NatsUser::Admin, &untrusted), "TLS failed"),
        (no_certificate, "TLS failed"),
    ] {
        let sink = built(options).await;
        let error = deliver(&sink, &carrying("a", &json!(1))).await.unwrap_err();
        assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error:?}");
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains(part) && !shown.contains("hunter2"),
            "{shown}"
        );
        let dialled = sink.dial().await.unwrap_err();
        assert_eq!(dialled.option, "url");
        assert!(dialled.source.is_none(), "its text would be repeated");
        let dialled = dialled.to_string();
        assert!(
            dialled.contains(part) && !dialled.contains("hunter2"),
            "{dialled}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_the_user_may_not_publish_to_fails_at_once_and_its_value_fails_alone() {
    let secured = SecuredNats::start().await.unwrap();
    stream(&secured).await;
    let subject = json!({"subject": "{{ payload.at }}.new"});
    let sink = built(options(&secured, NatsUser::Publisher, &subject)).await;
    let actions = ["orders", "secret", "orders"]
        .iter()
        .enumerate()
        .map(|(n, at)| carrying(&n.to_string(), &json!({"at": at})));
    let mut results = deliver_all(&sink, actions).await;
    let error = results.remove(1).unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Deferred, "{error:?}");
    assert_eq!(error.code, FailureCode::Configuration);
    assert!(error.message.contains("may not publish"), "{error}");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let reached = sink.dial().await.unwrap().unwrap();
    assert!(reached.contains("may not ask for streams"), "{reached}");
    let subject = json!({"subject": "secret.new"});
    let sink = built(options(&secured, NatsUser::Publisher, &subject)).await;
    let error = deliver(&sink, &carrying("a", &json!(1))).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_receive_answers_is_the_fault_of_the_provider_and_publishes_once() {
    let secured = SecuredNats::start().await.unwrap();
    let mut stream = stream(&secured).await;
    let subject = json!({"subject": "orders.{{ payload.at }}"});
    let sink = built(options(&secured, NatsUser::Deaf, &subject)).await;
    let error = sink.dial().await.unwrap_err();
    assert!(error.message.contains("its inbox `_INBOX.>`"), "{error}");
    for id in ["a", "b", "c"] {
        let action = carrying(id, &json!({"at": id}));
        let error = deliver(&sink, &action).await.unwrap_err();
        assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error:?}");
        assert!(error.message.contains("its inbox `_INBOX.>`"), "{error}");
    }
    let stored = stream.info().await.unwrap().state.messages;
    assert!(stored <= 1, "{stored} messages whose acks cannot arrive");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credentials_file_is_read_again_for_each_connection() {
    let operated = OperatedNats::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acteon.creds");
    let write = |text: String| std::fs::write(&file, text).unwrap();
    write(operated.credentials().unwrap());
    let connect = async_nats::ConnectOptions::with_credentials_file(&file);
    let connect = connect.await.unwrap().connect(operated.nats().url());
    let jetstream = jetstream::new(connect.await.unwrap());
    let config = stream::Config {
        name: "ORDERS".into(),
        subjects: vec!["orders.>".into()],
        ..stream::Config::default()
    };
    jetstream.create_stream(config).await.unwrap();
    let options = json!({
        "url": operated.nats().url(), "subject": "orders.new", "credentials_file": file,
    });
    let sink = built(options).await;
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
    for (text, part) in [
        (
            foreign_credentials().unwrap(),
            "the server refuses the user",
        ),
        (String::new(), "does not contain a user and its key"),
    ] {
        write(text);
        operated.nats().restart().await.unwrap();
        let error = loop {
            let error = deliver(&sink, &carrying("b", &json!(1))).await.unwrap_err();
            // The loss of the old connection may be noticed first.
            if error.class == SinkErrorClass::ProviderFault {
                break error;
            }
        };
        assert!(error.message.contains(part), "{error}");
    }
    write(operated.credentials().unwrap());
    deliver(&sink, &carrying("c", &json!(1))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_begins_with_tls_is_reached_with_the_option_for_it() {
    let secured = SecuredNats::start().await.unwrap();
    let [certificate, key] = ["server.pem", "server.key"].map(|name| secured.file(name));
    let tls = format!(
        "tls: {{ cert_file: {certificate:?}, key_file: {key:?}, handshake_first: true }}\n"
    );
    let nats = Nats::start_with(|_| Ok(tls)).await.unwrap();
    let mut options = options(&secured, NatsUser::Admin, &json!({}));
    let address = nats.address().replace("127.0.0.1", "localhost");
    options["url"] = json!(format!("tls://{address}"));
    let error = built(options.clone()).await.dial().await.unwrap_err();
    assert!(error.message.contains("no server answers"), "{error}");
    let sink = built(with(options, &json!({"tls_first": true}))).await;
    let error = sink.dial().await.unwrap_err();
    assert!(error.message.contains("no stream takes"), "{error}");
    let client = async_nats::ConnectOptions::new()
        .add_root_certificates(secured.file("authority.pem"))
        .tls_first();
    let client = client.connect(format!("tls://{address}")).await.unwrap();
    let config = stream::Config {
        name: "ORDERS".into(),
        subjects: vec!["orders.>".into()],
        ..stream::Config::default()
    };
    jetstream::new(client).create_stream(config).await.unwrap();
    deliver(&sink, &carrying("a", &json!(1))).await.unwrap();
}
