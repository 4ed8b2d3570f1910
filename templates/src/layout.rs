//! What the path of a template file means: `<provider>/<field>.txt` for every action type, or
//! `<provider>/<action type>/<field>.txt`. Folders that begin with `_` hold what other templates include.

use percent_encoding::percent_decode_str;

/// The name of a file that holds an action to check the templates beside it with.
const EXAMPLE: &str = "example.json";

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A template that others include.
    Shared,
    /// An action, as JSON.
    Example(TemplateOwner),
    /// The template of one field of the payload.
    #[allow(missing_docs)]
    Field {
        owner: TemplateOwner,
        field: String,
        format: Format,
    },
}

/// Whose templates a folder holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TemplateOwner {
    pub(crate) provider: String,
    /// `None`: every type without its own template of the field.
    pub(crate) action_type: Option<String>,
}

/// How the output of a template is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As a string.
    Text,
    /// As a string. Values are escaped.
    Html,
    /// As JSON. Values are written as JSON.
    Json,
}

impl Place {
    /// The place of a file, by its path below the folder of templates.
    ///
    /// # Errors
    /// Why the file belongs nowhere.
    pub(crate) fn of(path: &str) -> Result<Self, &'static str> {
        let parts: Vec<&str> = path.split('/').collect();
        if parts.len() > 1 && parts[0].starts_with('_') {
            return Ok(Self::Shared);
        }
        let (owner, file) = match parts[..] {
            [provider, file] => (TemplateOwner::new(provider, None)?, file),
            [provider, action_type, file] => {
                (TemplateOwner::new(provider, Some(action_type))?, file)
            }
            _ => {
                return Err(
                    "not read: put it in the folder of a provider, or of an action type below it",
                );
            }
        };
        if file == EXAMPLE {
            return Ok(Self::Example(owner));
        }
        let (field, format) = match file.rsplit_once('.') {
            Some((field, "txt")) => (field, Format::Text),
            Some((field, "html")) => (field, Format::Html),
            Some((field, "json")) => (field, Format::Json),
            _ => return Err("the name must end in `.txt`, `.html` or `.json`"),
        };
        if field == "payload" && format != Format::Json {
            return Err("the whole payload is JSON: name the file `payload.json`");
        }
        Ok(Self::Field {
            owner,
            field: field.to_owned(),
            format,
        })
    }
}

impl TemplateOwner {
    fn new(provider: &str, action_type: Option<&str>) -> Result<Self, &'static str> {
        let decoded = |name: &str| {
            let text = percent_decode_str(name).decode_utf8();
            text.map(|text| text.into_owned())
                .map_err(|_| "the name of its folder is not UTF-8 after percent-decoding")
        };
        Ok(Self {
            provider: decoded(provider)?,
            action_type: action_type.map(decoded).transpose()?,
        })
    }
}
