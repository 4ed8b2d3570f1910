//! The report as JUnit XML, which CI systems read. There are no times in it: those of tests are virtual, and a report
//! is the same each time.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::report::{FileReport, Report, TestReport};

impl Report {
    /// The report as JUnit XML: a suite for each file, a case for each test.
    ///
    /// # Errors
    /// None that is known: it is written to memory.
    pub fn junit(&self) -> io::Result<String> {
        let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
        xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let (tests, failed) = (self.tests().to_string(), self.failed().to_string());
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
    let (tests, failed) = (file.tests.len().to_string(), file.failed().to_string());
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
    let (name, line) = (clean(&test.name), test.line.to_string());
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
            .write_text_content(BytesText::new(&clean(&test.told())))?;
        Ok(())
    })?;
    Ok(())
}

/// The text without what XML cannot hold, not even escaped.
fn clean(text: &str) -> String {
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
    };
    text.chars()
        .map(|c| if allowed(c) { c } else { '\u{fffd}' })
        .collect()
}
