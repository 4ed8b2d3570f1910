//! Formats an evaluation for a terminal: the verdict, then the result of each rule and its reason.

use std::fmt;

use acteon_core::rules::{Evaluation, RuleResult, RuleTrace};

/// An evaluation as text.
pub struct EvaluationReport<'e>(pub &'e Evaluation);

impl fmt::Display for EvaluationReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evaluation = self.0;
        match &evaluation.matched_rule {
            Some(rule) => write!(f, "{} by {rule}", evaluation.verdict.as_str())?,
            None => write!(f, "{}: no rule decided", evaluation.verdict.as_str())?,
        }
        let (later, tried): (Vec<_>, Vec<_>) = evaluation.trace.iter().partition(|t| is_later(t));
        if !tried.is_empty() {
            write!(f, "\n\n{}", Table(&tried))?;
        }
        match later.len() {
            0 => {}
            1 => write!(f, "\n1 later rule was not tried")?,
            many => write!(f, "\n{many} later rules were not tried")?,
        }
        for read in evaluation.context["state"].as_array().into_iter().flatten() {
            write!(f, "\nstate    {read}")?;
        }
        if let Some(payload) = &evaluation.modified_payload {
            write!(
                f,
                "\npayload  {}",
                pretty(&String::from_utf8_lossy(payload.as_bytes()))
            )?;
        }
        Ok(())
    }
}

/// Whether the rule was skipped because an earlier one decided.
fn is_later(trace: &RuleTrace) -> bool {
    trace.result == RuleResult::Skipped && trace.enabled
}

/// JSON over several lines, its numbers and strings as they are written.
fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut depth = 0usize;
    // After an opening bracket, and after a comma.
    let mut begins = false;
    let mut follows = false;
    let mut rest = json;
    while let Some(sign) = rest.chars().next() {
        let token = match sign {
            '"' => &rest[..string_length(rest)],
            _ => &rest[..sign.len_utf8()],
        };
        rest = &rest[token.len()..];
        match sign {
            ' ' | '\n' | '\r' | '\t' => continue,
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if !begins {
                    new_line(depth, &mut out);
                }
            }
            _ if begins || follows => new_line(depth, &mut out),
            _ => {}
        }
        begins = matches!(sign, '{' | '[');
        follows = sign == ',';
        out.push_str(token);
        match sign {
            '{' | '[' => depth += 1,
            ':' => out.push(' '),
            _ => {}
        }
    }
    out
}

fn new_line(depth: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// The length of the string at the start of `json`, with its quotes.
fn string_length(json: &str) -> usize {
    let mut escaped = true;
    let end = json.bytes().position(|byte| {
        let is_end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        is_end
    });
    end.map_or(json.len(), |at| at + 1)
}

/// The rules, in aligned columns.
struct Table<'t>(&'t [&'t RuleTrace]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |of: fn(&RuleTrace) -> &str| {
            let widths = self.0.iter().map(|trace| of(trace).chars().count());
            widths.max().unwrap_or_default()
        };
        let name = wide(|trace| &trace.rule_name);
        let action = wide(|trace| trace.action);
        for (at, trace) in self.0.iter().enumerate() {
            let line = format!(
                "{:<11}  {:<name$}  {:<action$}  {}",
                result(trace.result),
                trace.rule_name,
                trace.action,
                trace.why().unwrap_or_default()
            );
            let end = if at > 0 { "\n" } else { "" };
            write!(f, "{end}{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn result(result: RuleResult) -> &'static str {
    match result {
        RuleResult::Matched => "matched",
        RuleResult::NotMatched => "not matched",
        RuleResult::Skipped => "skipped",
        RuleResult::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::pretty;

    #[test]
    fn a_payload_is_laid_out_with_its_text_unchanged() {
        let json = r#"{ "a":[1e400,{"q\"{":"x, y"}],"b":{},"c":[ ] }"#;
        let expected = r#"{
  "a": [
    1e400,
    {
      "q\"{": "x, y"
    }
  ],
  "b": {},
  "c": []
}"#;
        assert_eq!(pretty(json), expected);
    }
}
