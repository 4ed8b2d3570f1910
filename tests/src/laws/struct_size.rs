//! Limits the fields of a type. A bigger one has parts that are types themselves.

use syn::visit::{self, Visit};
use syn::{Attribute, Fields, Ident, ItemStruct, Variant};

use super::house::{House, Source};
use super::{Violation, assert_kept, places};

const FIELDS_MAX: usize = 12;

/// Derives of types whose fields a format or the command line fixes: JSON, configuration, OpenAPI, arguments.
const FORMATS: &[&str] = &[
    "Serialize",
    "Deserialize",
    "ToSchema",
    "IntoParams",
    "JsonSchema",
    "Args",
    "Parser",
];

/// Larger types by file and name, with the reason.
const EXCUSED: &[(&str, &str, &str)] = &[(
    "core/src/action.rs",
    "Action",
    "the fields of the wire contract, flat in its JSON",
)];

fn check(source: &Source) -> Vec<Violation> {
    let large = match large_structs(source) {
        Ok(large) => large,
        Err(violation) => return vec![violation],
    };
    let judged = large
        .iter()
        .filter(|it| !is_excused(&source.path, &it.name));
    judged
        .map(|LargeStruct { name, line, fields }| {
            let law = format!(
                "`{name}` has {fields} fields, at most {FIELDS_MAX} are allowed: make the ones that belong together a \
                 type with its own methods"
            );
            Violation::at(&source.path, *line, law)
        })
        .collect()
}

fn is_excused(path: &str, name: &str) -> bool {
    let mut excused = EXCUSED.iter();
    excused.any(|(file, of, _)| *file == path && *of == name)
}

fn large_structs(source: &Source) -> Result<Vec<LargeStruct>, Violation> {
    let mut structs = LargeStructs::default();
    structs.visit_file(&source.parse()?);
    Ok(structs.found)
}

/// A type or variant with too many fields.
struct LargeStruct {
    name: String,
    line: usize,
    fields: usize,
}

/// All of a file.
#[derive(Default)]
struct LargeStructs {
    found: Vec<LargeStruct>,
}

impl LargeStructs {
    fn judge(&mut self, name: &Ident, fields: &Fields) {
        if fields.len() > FIELDS_MAX {
            self.found.push(LargeStruct {
                name: name.to_string(),
                line: name.span().start().line,
                fields: fields.len(),
            });
        }
    }
}

/// True if a derive shows that a format fixes the fields.
fn is_format(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let names = list.tokens.to_string();
    let mut names = names.split(|c: char| !c.is_alphanumeric());
    list.path.is_ident("derive") && names.any(|name| FORMATS.contains(&name))
}

impl<'ast> Visit<'ast> for LargeStructs {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        if !item.attrs.iter().any(is_format) {
            self.judge(&item.ident, &item.fields);
        }
        visit::visit_item_struct(self, item);
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        self.judge(&variant.ident, &variant.fields);
        visit::visit_variant(self, variant);
    }
}

#[test]
fn a_type_has_at_most_a_dozen_fields() {
    let sources = House::read().sources();
    let violations: Vec<_> = sources.iter().flat_map(check).collect();
    assert_kept(&violations);
    for (file, name, _) in EXCUSED {
        let source = sources.iter().find(|source| source.path == *file);
        let large = source.and_then(|source| large_structs(source).ok());
        let is_used = large.is_some_and(|large| large.iter().any(|it| it.name == *name));
        assert!(is_used, "remove the exception for `{name}` in {file}");
    }
}

#[test]
fn a_thirteenth_field_is_found_in_structs_and_variants() {
    let fields = |count: usize| -> String { (0..count).map(|at| format!("a{at}: u8, ")).collect() };
    let sample = |text: &str| check(&Source::new("x.rs", text)).len();
    assert_eq!(sample(&format!("struct X {{ {} }}", fields(12))), 0);
    assert_eq!(sample(&format!("struct X {{ {} }}", fields(13))), 1);
    assert_eq!(sample(&format!("struct X({});", "u8, ".repeat(13))), 1);
    assert_eq!(sample(&format!("enum X {{ A {{ {} }} }}", fields(13))), 1);
    let derived = |of: &str| format!("#[derive(Debug, {of})]\nstruct X {{ {} }}", fields(13));
    assert_eq!(sample(&derived("serde::Deserialize")), 0);
    assert_eq!(sample(&derived("Clone")), 1);
    let found = check(&Source::new("x.rs", &derived("Clone")));
    assert_eq!(places(&found), ["x.rs:2"]);
}
