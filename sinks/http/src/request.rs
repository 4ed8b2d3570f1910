//! Writes the request for an action by the templates of the preset.

use acteon_core::SinkError;
use acteon_sinks_kit::USER_AGENT;
use acteon_templates::{Absent, TreeRendering};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT as AGENT};
use minijinja::{Environment, Value};

use crate::error::{template, unwritable};
use crate::fit::fitted;
use crate::preset::{PresetRequest, RequestMethod};
use crate::values::PresetValues;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
/// The beginning of the name of an option in a template.
const OPTION: &str = "options.";

/// A request, but for the URL of its provider.
pub(crate) struct WrittenRequest {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Writes requests.
pub(crate) struct RequestWriter<'e> {
    /// The environment of all templates but paths.
    pub(crate) environment: &'e Environment<'static>,
    /// The environment of paths.
    pub(crate) paths: &'e Environment<'static>,
    /// The place of the request in the preset.
    pub(crate) place: String,
    pub(crate) values: &'e PresetValues,
}

impl RequestWriter<'_> {
    /// The request for these values.
    ///
    /// # Errors
    /// A permanent error that names the template that failed.
    pub(crate) fn write(&self, request: &PresetRequest) -> Result<WrittenRequest, SinkError> {
        let path = self.path(&request.path)?;
        let query = self.pairs("query", request.query.iter())?;
        let (content_type, body) = self.body(request)?;
        let mut headers = HeaderMap::new();
        headers.insert(AGENT, HeaderValue::from_static(USER_AGENT));
        headers.extend(content_type.map(|value| (CONTENT_TYPE, value)));
        for (name, text) in self.pairs("headers", request.headers.iter())? {
            let template = request.headers.get(&name).map_or("", String::as_str);
            let (name, value) = self.header(&name, &text, template)?;
            headers.insert(name, value);
        }
        Ok(WrittenRequest {
            method: method(request.method),
            path,
            query,
            headers,
            body,
        })
    }

    fn place(&self, part: &str) -> String {
        format!("{}.{part}", self.place)
    }

    fn rendering<'e>(&'e self, environment: &'e Environment<'static>) -> TreeRendering<'e> {
        let values = Value::from(self.values.clone());
        TreeRendering::new(environment, values, Absent::LeftOut)
    }

    /// A path whose values stay inside their segments.
    fn path(&self, text: &str) -> Result<String, SinkError> {
        let place = self.place("path");
        let path = self.rendering(self.paths).text(text);
        let path = path.map_err(|error| template(&place, &error))?;
        match path.split('/').any(|part| matches!(part, "." | "..")) {
            true => Err(unwritable(
                &place,
                "a value makes a part of the path `.` or `..`",
            )),
            false => Ok(path),
        }
    }

    /// The pairs with their values rendered, without empty ones.
    fn pairs<'t>(
        &self,
        part: &str,
        templates: impl Iterator<Item = (&'t String, &'t String)>,
    ) -> Result<Vec<(String, String)>, SinkError> {
        let mut rendering = self.rendering(self.environment);
        let mut pairs = Vec::new();
        for (name, text) in templates {
            let place = self.place(&format!("{part}.{name}"));
            let value = rendering.text(text);
            let value = value.map_err(|error| template(&place, &error))?;
            if !value.is_empty() {
                pairs.push((name.clone(), value));
            }
        }
        Ok(pairs)
    }

    fn header(
        &self,
        name: &str,
        text: &str,
        template: &str,
    ) -> Result<(HeaderName, HeaderValue), SinkError> {
        let wrong = |why| unwritable(&self.place(&format!("headers.{name}")), why);
        let name = HeaderName::try_from(name).map_err(|_| wrong("this is no name of a header"))?;
        let value = HeaderValue::from_str(text.trim());
        let mut value = value.map_err(|_| wrong("the value is not one line of text"))?;
        value.set_sensitive(template.contains(OPTION));
        Ok((name, value))
    }

    fn body(&self, request: &PresetRequest) -> Result<(Option<HeaderValue>, Bytes), SinkError> {
        if let Some(form) = &request.form {
            let pairs = self.pairs("form", form.iter())?;
            let mut body = form_urlencoded::Serializer::new(String::new());
            return Ok((Some(FORM), body.extend_pairs(pairs).finish().into()));
        }
        let mut rendering = self.rendering(self.environment);
        if let Some(text) = &request.text_body {
            let body = rendering.text(text);
            let body = body.map_err(|error| template(&self.place("text_body"), &error))?;
            return Ok((Some(TEXT), body.into()));
        }
        let Some(tree) = &request.body else {
            return Ok((None, Bytes::new()));
        };
        let body = rendering.tree(tree).map_err(|error| {
            let place = format!("body.{}", rendering.place());
            template(&self.place(&place), &error)
        })?;
        let bytes_max = request.body_bytes_max.unwrap_or(usize::MAX);
        let body = fitted(body, bytes_max).ok_or_else(|| {
            let why =
                format!("it has more than {bytes_max} bytes, too few of them in texts to cut");
            unwritable(&self.place("body"), &why)
        })?;
        Ok((Some(JSON), body.into()))
    }
}

/// Whether a condition holds.
///
/// # Errors
/// If it fails for these values.
pub(crate) fn holds(
    environment: &Environment<'static>,
    condition: &str,
    values: &PresetValues,
) -> Result<bool, minijinja::Error> {
    let expression = environment.compile_expression_owned(condition.to_owned())?;
    Ok(expression.eval(Value::from(values.clone()))?.is_true())
}

fn method(method: RequestMethod) -> http::Method {
    match method {
        RequestMethod::Get => http::Method::GET,
        RequestMethod::Post => http::Method::POST,
        RequestMethod::Put => http::Method::PUT,
        RequestMethod::Patch => http::Method::PATCH,
        RequestMethod::Delete => http::Method::DELETE,
    }
}
