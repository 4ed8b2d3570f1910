//! Where secrets come from, and that they are never shown.

use super::*;

const HOOK: &str = "[[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"x\"\n";

fn resolved(text: &str, environment: &[(&str, &str)]) -> Result<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment: Vec<_> = environment.iter().map(owned).collect();
    let document = Document::new(DEFAULT_FILE, format!("secret = {text:?}"));
    let mut root = document.parse(&mut Vec::new());
    let path = vec![crate::tree::Step::Key("secret".into())];
    let complaints = crate::secrets::resolve(&mut root, &[path], &environment);
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
fn an_envelope_is_never_taken_for_plain_text() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "ENC[x]").unwrap();
    let path = format!("file:{}", file.path().display());
    let expected = Err(crate::check::ENVELOPE_UNSUPPORTED.to_owned());
    assert_eq!(resolved(&path, &[]), expected);
    assert_eq!(
        resolved("env:NAME", &[("NAME", " ENC[AES256-GCM,data:x]")]),
        expected
    );
    let text = format!(
        "{HOOK}headers = {{ a = \"ENC[AES256-GCM,data:x,iv:y,tag:z]\", b = \"ENC[\" }}\n\
         [rules]\ndirectory = \"ENC[x]\"\n"
    );
    insta::assert_snapshot!(errors(&text));
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
