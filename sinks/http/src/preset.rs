//! What a preset consists of. All texts but descriptions are templates.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How to send actions to one kind of service.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The name of a preset that comes with Acteon, which this one changes: what is not given here is as there. Options
    /// and values are added, and answers are looked at before those of the other preset.
    #[serde(default)]
    pub extends: Option<String>,
    /// The beginning of every URL. It sees only the options, so that no action chooses the host.
    #[serde(default)]
    pub base_url: String,
    /// The options of providers with this preset.
    #[serde(default)]
    pub options: BTreeMap<String, PresetOption>,
    /// Texts that several templates use, as `values.<name>`.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// The ordering key of an action. Actions with one key are sent one after another, in the order in which they were
    /// decided. Default: any order. An action whose key is empty, or fails, has none.
    #[serde(default)]
    pub ordering_key: Option<String>,
    /// The requests. The first whose condition holds is sent.
    #[serde(default)]
    pub requests: Vec<PresetRequest>,
    /// What answers mean. The first that matches decides, also about a status of 2xx.
    #[serde(default)]
    pub answers: Vec<AnswerMatcher>,
    /// Where the body of an answer says how many seconds to wait, as a JSON Pointer. It wins over `Retry-After`.
    #[serde(default)]
    pub retry_after: Option<String>,
}

impl Preset {
    /// This preset, with what it does not give as in `other`.
    #[must_use]
    pub(crate) fn over(mut self, mut other: Self) -> Self {
        other.options.extend(self.options);
        other.values.extend(self.values);
        self.answers.append(&mut other.answers);
        Self {
            extends: None,
            options: other.options,
            values: other.values,
            ordering_key: self.ordering_key.or(other.ordering_key),
            answers: self.answers,
            base_url: match self.base_url.is_empty() {
                true => other.base_url,
                false => self.base_url,
            },
            requests: match self.requests.is_empty() {
                true => other.requests,
                false => self.requests,
            },
            retry_after: self.retry_after.or(other.retry_after),
        }
    }
}

/// An option of a preset.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PresetOption {
    /// What it is for.
    pub description: String,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it is removed from what is shown of answers.
    pub secret: bool,
    /// Its value if it is not given.
    pub default: Option<String>,
}

/// One kind of request. Headers, pairs of the query and fields of a form whose value is empty are left out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PresetRequest {
    /// An expression. Without one, the request is for all actions.
    pub when: Option<String>,
    /// The method.
    pub method: RequestMethod,
    /// The path below `base_url`. PresetValues are percent-encoded.
    pub path: String,
    /// The query.
    pub query: BTreeMap<String, String>,
    /// The headers, besides `Content-Type` and `User-Agent`.
    pub headers: BTreeMap<String, String>,
    /// A JSON body, in which every string is a template. Members whose value does not exist are left out.
    pub body: Option<Value>,
    /// A body of text instead.
    pub text_body: Option<String>,
    /// A form instead.
    pub form: Option<BTreeMap<String, String>>,
    /// The maximum size of a JSON body in bytes. Longer ones are cut at their longest texts, with a note.
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub body_bytes_max: Option<usize>,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum RequestMethod {
    Get,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
}

/// Which answers it matches, and what they mean. It matches if everything that is given holds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerMatcher {
    /// The statuses. Default: every status.
    #[serde(default)]
    #[schemars(inner(range(min = 200, max = 599)))]
    pub status: Vec<u16>,
    /// A place in the JSON of the body, as a JSON Pointer. Alone, it matches if there is a value other than `null`.
    #[serde(default)]
    pub at: Option<String>,
    /// The value at that place.
    #[serde(default)]
    pub equals: Option<Value>,
    /// A part of the text at that place, or of the whole body. Upper and lower case are the same.
    #[serde(default)]
    pub contains: Option<String>,
    /// An expression about the action.
    #[serde(default)]
    pub when: Option<String>,
    /// What the answer means.
    pub class: AnswerClass,
    /// For the class `again`: the values that the next request sees as `again.<name>`. Here, `answer` is the JSON of
    /// the body.
    #[serde(default)]
    pub again: BTreeMap<String, String>,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerClass {
    /// The action is delivered.
    Success,
    /// Another attempt may succeed.
    Transient,
    /// Too many requests: the provider is left alone for a while.
    RateLimited,
    /// The action is at fault.
    Permanent,
    /// The provider or its options are at fault.
    ProviderFault,
    /// The same attempt sends another request, at most twice.
    Again,
}
