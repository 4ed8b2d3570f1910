//! The form of a message on the connection: its line ends and its dots.

/// The content of a message, ready to be sent after DATA.
pub(crate) struct MailContent {
    /// The size in bytes, without doubled dots.
    pub(crate) size: usize,
    /// With leading dots doubled, and the line that ends it (RFC 5321, 4.5.2). Every line ends in CRLF.
    pub(crate) wire: Vec<u8>,
}

impl MailContent {
    /// Ends every line of `text` in CRLF, and doubles leading dots. Servers disagree on a lone CR or LF, which would allow
    /// to smuggle commands.
    pub(crate) fn new(text: &[u8]) -> Self {
        let mut wire = Vec::with_capacity(text.len() + text.len() / 32 + 5);
        let mut doubled = 0;
        for_each_line(text, |line, _| {
            if line.starts_with(b".") {
                wire.push(b'.');
                doubled += 1;
            }
            wire.extend_from_slice(line);
            wire.extend_from_slice(b"\r\n");
        });
        let size = wire.len() - doubled;
        wire.extend_from_slice(b".\r\n");
        Self { size, wire }
    }
}

/// `text` with CRLF in place of each CRLF, CR and LF.
pub(crate) fn with_crlf(text: &str) -> String {
    let mut lines = Vec::with_capacity(text.len() + text.len() / 32);
    for_each_line(text.as_bytes(), |line, has_end| {
        lines.extend_from_slice(line);
        if has_end {
            lines.extend_from_slice(b"\r\n");
        }
    });
    // Only CR and LF were replaced, so this is still UTF-8.
    String::from_utf8(lines).unwrap_or_default()
}

/// Calls `each` with every line, and with whether it has an end. A CRLF, a lone CR and a lone LF end a line.
fn for_each_line<'t>(text: &'t [u8], mut each: impl FnMut(&'t [u8], bool)) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let end = if rest[at..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        each(&rest[..at], true);
        rest = &rest[at + end..];
    }
    if !rest.is_empty() {
        each(rest, false);
    }
}
