//! The report as JUnit XML for CI systems. It contains no times: the time of tests is virtual, and equal runs give
//! equal reports.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::report::{FileReport, SuiteReport, TestReport};

impl SuiteReport {
    /// The report as JUnit XML: a suite per file, a case per test.
    ///
    /// # Errors
    /// If writing to memory fails, which is not expected.
    pub fn junit(&self) -> io::Result<String> {
        let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
        xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let tests = self.tests().to_string();
        let failed = self.failed().to_string();
        xml.create_element("testsuites")
            .with_attributes([
                ("name", "acteon rule tests"),
                ("tests", tests.as_str()),
                ("failures", failed.as_str()),
            ])
            .write_inner_content(|xml| self.files.iter().try_for_each(|file| suite(xml, file)))?;
        let text = String::from_utf8(xml.into_inner()).map_err(io::Error::other)?;
        Ok(text + "\n")
    }
}

fn suite(xml: &mut Writer<Vec<u8>>, file: &FileReport) -> io::Result<()> {
    let tests = file.tests.len().to_string();
    let failed = file.failed().to_string();
    let name = clean(&file.file);
    xml.create_element("testsuite")
        .with_attributes([
            ("name", name.as_str()),
            ("tests", tests.as_str()),
            ("failures", failed.as_str()),
            ("errors", "0"),
            ("skipped", "0"),
        ])
        .write_inner_content(|xml| {
            let mut tests = file.tests.iter();
            tests.try_for_each(|test| case(xml, &name, test))
        })?;
    Ok(())
}

fn case(xml: &mut Writer<Vec<u8>>, file: &str, test: &TestReport) -> io::Result<()> {
    let name = clean(&test.name);
    let line = test.line.to_string();
    let element = xml.create_element("testcase").with_attributes([
        ("name", name.as_str()),
        ("classname", file),
        ("file", file),
        ("line", line.as_str()),
    ]);
    let first = test
        .failures
        .iter()
        .flat_map(|failure| &failure.mismatches)
        .next();
    let Some(first) = first else {
        element.write_empty()?;
        return Ok(());
    };
    let message = clean(&format!(
        "{}: expected {}, found {}",
        first.what, first.expected, first.found
    ));
    element.write_inner_content(|xml| {
        xml.create_element("failure")
            .with_attribute(("message", message.as_str()))
            .write_text_content(BytesText::new(&clean(&test.failures_text())))?;
        Ok(())
    })?;
    Ok(())
}

/// The text without characters that XML cannot contain even if escaped.
fn clean(text: &str) -> String {
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
    };
    text.chars()
        .map(|c| if allowed(c) { c } else { '\u{fffd}' })
        .collect()
}
