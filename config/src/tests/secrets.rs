//! Where secrets come from, and that they are never shown.

use super::*;

const HOOK: &str = "[[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"x\"\n";

fn resolved(text: &str, environment: &[(&str, &str)]) -> Result<String, String> {
    resolved_in(Path::new(""), text, environment)
}

fn resolved_in(folder: &Path, text: &str, environment: &[(&str, &str)]) -> Result<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment: Vec<_> = environment.iter().map(owned).collect();
    let document = Document::new(DEFAULT_FILE, format!("secret = {text:?}"));
    let mut root = document.parse(&mut Vec::new()).unwrap();
    let path = vec![crate::tree::PathStep::Key("secret".into())];
    let sources = crate::secrets::SecretSources {
        environment: &environment,
        folder,
    };
    let complaints = crate::secrets::resolve(&mut root, &[path], sources);
    match complaints.into_iter().next() {
        Some(complaint) => Err(complaint.message),
        None => Ok(root.get("secret").unwrap().text().unwrap().to_owned()),
    }
}

#[test]
fn a_secret_is_a_literal_or_comes_from_a_variable_or_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "from file\r\n").unwrap();
    let path = format!("file:{}", file.path().display());
    assert_eq!(resolved("literal", &[]).unwrap(), "literal");
    assert_eq!(
        resolved("env:NAME", &[("NAME", "from variable")]).unwrap(),
        "from variable"
    );
    assert_eq!(resolved(&path, &[]).unwrap(), "from file");
}

#[test]
fn the_path_of_a_secret_begins_at_the_folder_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "from file\n").unwrap();
    let resolved = resolved_in(folder.path(), "file:token", &[]);
    assert_eq!(resolved.unwrap(), "from file");
}

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const KEY_AS_BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

fn encrypted(secret: &str, key_id: Option<&str>, variable: (&str, &str)) -> String {
    let environment = [(variable.0.to_owned(), variable.1.to_owned())];
    encrypt(secret, key_id, &environment).unwrap()
}

#[test]
fn a_secret_may_be_encrypted_in_the_file_in_a_variable_or_in_a_file_of_its_own() {
    let envelope = encrypted("hünter2", None, ("ACTEON_AUTH_KEY", KEY));
    assert!(envelope.starts_with("ENC[AES256-GCM,data:") && !envelope.contains("hünter2"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{envelope}\n")).unwrap();
    let path = format!("file:{}", file.path().display());
    for key in [
        KEY,
        KEY_AS_BASE64,
        KEY_AS_BASE64.trim_end_matches('='),
        &KEY.to_uppercase(),
    ] {
        let environment = [("ACTEON_AUTH_KEY", key), ("NAME", envelope.as_str())];
        for text in [envelope.as_str(), "env:NAME", &path] {
            assert_eq!(resolved(text, &environment).unwrap(), "hünter2", "{key}");
        }
    }
}

#[test]
fn an_envelope_made_elsewhere_is_opened() {
    // Made with OpenSSL's AES-256-GCM under the key of these tests and the nonce 0, 1, ..., 11.
    let envelope =
        "ENC[AES256-GCM,data:L3e4b6CX8A==,iv:AAECAwQFBgcICQoL,tag:2Q0dD8GxyvYmr28rkQ6BmQ==]";
    let opened = resolved(envelope, &[("ACTEON_AUTH_KEY", KEY)]);
    assert_eq!(opened.unwrap(), "hunter2");
}

#[test]
fn no_two_envelopes_are_alike() {
    let once = || encrypted("hunter2", None, ("ACTEON_AUTH_KEY", KEY));
    assert_ne!(once(), once());
}

#[test]
fn a_key_with_an_id_has_a_variable_of_its_own() {
    let old = encrypted("old", None, ("ACTEON_AUTH_KEY", KEY));
    let new = encrypted("new", Some("2026-b"), ("ACTEON_AUTH_KEY_2026_B", OTHER_KEY));
    assert!(new.starts_with("ENC[AES256-GCM,kid:2026-b,data:"), "{new}");
    let both = [
        ("ACTEON_AUTH_KEY", KEY),
        ("ACTEON_AUTH_KEY_2026_B", OTHER_KEY),
    ];
    assert_eq!(resolved(&old, &both).unwrap(), "old");
    assert_eq!(resolved(&new, &both).unwrap(), "new");
    let missing = resolved(&new, &[("ACTEON_AUTH_KEY", OTHER_KEY)]).unwrap_err();
    assert!(
        missing.contains("`ACTEON_AUTH_KEY_2026_B`, which is not set"),
        "{missing}"
    );
}

#[test]
fn what_cannot_be_encrypted_is_refused() {
    let environment = [("ACTEON_AUTH_KEY".to_owned(), KEY.to_owned())];
    let refused = |secret: &str, id| encrypt(secret, id, &environment).unwrap_err();
    assert_eq!(refused("", None), EnvelopeError::Empty);
    assert_eq!(refused(&"x".repeat(40_000), None), EnvelopeError::TooLong);
    let long = "x".repeat(65);
    for id in ["", "a b", "a,b", "ä", &long] {
        assert_eq!(refused("x", Some(id)), EnvelopeError::BadKeyId);
    }
    let variable = "ACTEON_AUTH_KEY_B".to_owned();
    assert_eq!(refused("x", Some("b")), EnvelopeError::NoKey { variable });
}

#[test]
fn an_envelope_is_never_taken_for_plain_text() {
    let whole = encrypted("hunter2", None, ("ACTEON_AUTH_KEY", KEY));
    let key = [("ACTEON_AUTH_KEY", KEY)];
    let mut reported = vec![
        resolved(&whole, &[]),
        resolved(&whole, &[("ACTEON_AUTH_KEY", "")]),
        resolved(&whole, &[("ACTEON_AUTH_KEY", "short")]),
        resolved(&whole, &[("ACTEON_AUTH_KEY", OTHER_KEY)]),
        resolved(&whole.replace("data:", "data:AAAA"), &key),
    ];
    let broken = [
        "ENC[",
        " ENC[x]",
        "ENC[AES256-GCM]",
        "ENC[AES256-GCM,data:x",
        "ENC[AES128-GCM,data:,iv:,tag:]",
        "ENC[AES256-GCM,data:*,iv:y,tag:z]",
        "ENC[AES256-GCM,data:AAAA,iv:AAAA,tag:z]",
        "ENC[AES256-GCM,data:AAAA,iv:AAECAwQFBgcICQoL,tag:AAAA]",
        "ENC[AES256-GCM,kid:a b,data:AAAA,iv:AAECAwQFBgcICQoL,tag:AAAA]",
        "ENC[AES256-GCM,iv:AAECAwQFBgcICQoL,data:AAAA,tag:AAAA]",
    ];
    reported.extend(broken.map(|text| resolved(text, &key)));
    reported.push(resolved(&whole.replace("]", ",more:x]"), &key));
    reported.push(resolved(&format!("Bearer {whole}"), &key));
    let reported: Vec<_> = reported.into_iter().map(Result::unwrap_err).collect();
    insta::assert_snapshot!(reported.join("\n"));
    insta::assert_snapshot!(errors(&format!(
        "{HOOK}headers = {{ a = \"ENC[AES256-GCM,data:x,iv:y,tag:z]\", b = \"ENC[\" }}\n\
         [rules]\ndirectory = \"ENC[x]\"\n"
    )));
}

#[test]
fn missing_secrets_are_all_named() {
    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len(1 << 20).unwrap();
    let text = format!(
        "{HOOK}[providers.headers]\na = \"env:MISSING\"\nb = \"env:EMPTY\"\nc = \"file:/nowhere/token\"\n\
         d = \"file:{}\"\n[providers.auth]\ntype = \"bearer\"\ntoken = \"env:ALSO_MISSING\"\n",
        large.path().display()
    );
    let errors = load_text(&text, &[("EMPTY", "")], &[])
        .unwrap_err()
        .to_string();
    insta::assert_snapshot!(errors.replace(&large.path().display().to_string(), "/large"));
}

#[test]
fn secrets_do_not_appear_in_errors_whoever_writes_them() {
    let text = "[[providers]]\nname = \"s\"\ntype = \"strict\"\nfirst = \"http://user:hunter2@host\"\n\
                password = \"env:PASSWORD\"\nscheme = { signed = { key = 5, more = \"hunter2\" } }\n";
    let errors = load_text(text, &[("PASSWORD", "hunter2")], &[])
        .unwrap_err()
        .to_string();
    assert!(!errors.contains("hunter2"), "{errors}");
    insta::assert_snapshot!(errors);
}

#[test]
fn secrets_do_not_appear_in_debug_output() {
    let text = format!("{HOOK}headers = {{ a = \"hunter2\" }}\n");
    assert!(!format!("{:?}", loaded(&text)).contains("hunter2"));
    let inputs = Inputs {
        environment: vec![("A".into(), "hunter2".into())],
        flags: vec![("b".into(), "hunter2".into())],
        ..Inputs::default()
    };
    assert!(!format!("{inputs:?}").contains("hunter2"));
}

#[test]
fn a_reference_in_other_letters_is_refused() {
    for text in [
        "Env:NAME",
        "ENV:NAME",
        "FILE:/x",
        "File:x",
        "enc[AES256-GCM,data:x]",
        " Enc[x]",
    ] {
        let refused = resolved(text, &[("NAME", "x")]).unwrap_err();
        assert!(refused.contains("almost like"), "{text}: {refused}");
        assert!(!refused.contains(text), "the secret is not repeated");
    }
    let in_variable = resolved("env:NAME", &[("NAME", "enc[AES256-GCM,data:x]")]);
    assert!(in_variable.unwrap_err().contains("almost like"));
    for literal in ["environment", "filed", "encode", "Bearer env:x", "x file:y"] {
        assert_eq!(resolved(literal, &[]).unwrap(), literal);
    }
    assert_eq!(resolved("env:NAME", &[("NAME", "Env:x")]).unwrap(), "Env:x");
}
