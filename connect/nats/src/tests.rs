use nkeys::KeyPair;

use crate::credentials::NatsCredentials;
use crate::servers::NatsServers;

#[test]
fn addresses_have_a_scheme_a_port_and_a_user_or_their_defaults() {
    let servers = NatsServers::parse(" a , nats://b:1,tls://[::1]:2").unwrap();
    assert_eq!(servers.shown(), "a:4222, b:1, ::1:2");
    assert!(servers.require_tls());
    assert_eq!(servers.user, None);
    let servers = NatsServers::parse("nats://u:p%40%3Aq@a,nats://u:p%40%3Aq@b").unwrap();
    assert_eq!(servers.user, Some(("u".into(), Some("p@:q".into()))));
    assert_eq!(servers.shown(), "a:4222, b:4222");
    assert!(!servers.require_tls());
    assert_eq!(servers.addresses[0].as_url_str(), "nats://a");
    let servers = NatsServers::parse("nats://t0ken@a").unwrap();
    assert_eq!(servers.user, Some(("t0ken".into(), None)));
}

#[test]
fn a_credentials_file_has_a_user_and_the_key_that_signs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.creds");
    let key = KeyPair::new_user();
    let seed = key.seed().unwrap();
    let text = format!(
        "-----BEGIN NATS USER JWT-----\r\nheader.claims.signature\r\n------END NATS USER JWT------\r\n\r\n\
         ***** IMPORTANT *****\r\n\r\n-----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------\r\n"
    );
    std::fs::write(&path, &text).unwrap();
    let read = NatsCredentials::read_now(&path).unwrap();
    assert_eq!(read.token, "header.claims.signature");
    key.verify(b"challenge", &read.sign(b"challenge").unwrap())
        .unwrap();
    for (text, why) in [
        (String::new(), "does not contain a user and its key"),
        (text.replace(&seed, "SUhunter2"), "is not a key of NATS"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = NatsCredentials::read_now(&path).err().unwrap();
        assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
    }
}
