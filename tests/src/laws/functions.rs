//! Limits on the length and the parameters of functions. No public function takes a `bool` that selects behaviour.

use syn::visit::{self, Visit};
use syn::{Block, FnArg, ImplItemFn, ItemFn, ItemTrait, Signature, TraitItemFn, Type, Visibility};

use super::house::{House, Source};
use super::{Violation, assert_kept, places};

const LINES_MAX: usize = 70;
const PARAMETERS_MAX: usize = 6;

fn check(source: &Source) -> Vec<Violation> {
    let file = match source.parse() {
        Ok(file) => file,
        Err(violation) => return vec![violation],
    };
    let mut functions = Functions {
        path: &source.path,
        in_public_trait: Visible::No,
        found: Vec::new(),
    };
    functions.visit_file(&file);
    functions.found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visible {
    Yes,
    No,
}

impl From<&Visibility> for Visible {
    fn from(visibility: &Visibility) -> Self {
        match visibility {
            Visibility::Public(_) => Self::Yes,
            _ => Self::No,
        }
    }
}

struct Functions<'a> {
    path: &'a str,
    in_public_trait: Visible,
    found: Vec<Violation>,
}

impl Functions<'_> {
    fn judge(&mut self, sig: &Signature, block: Option<&Block>, visible: Visible) {
        let line = sig.fn_token.span.start().line;
        let mut report = |law: String| {
            let law = format!("`{}`: {law}", sig.ident);
            self.found.push(Violation::at(self.path, line, law));
        };
        let end = block.map_or(line, |block| block.brace_token.span.close().end().line);
        let lines = end - line + 1;
        if lines > LINES_MAX {
            report(format!(
                "a function has at most {LINES_MAX} lines, this one has {lines}"
            ));
        }
        let parameters = sig.inputs.len();
        if parameters > PARAMETERS_MAX {
            report(format!(
                "at most {PARAMETERS_MAX} parameters, here are {parameters}"
            ));
        }
        if visible == Visible::Yes && is_steered(sig) {
            report(
                "a public function takes no `bool`: an enum says what is meant at the call".into(),
            );
        }
    }
}

/// A setter only stores its `bool` under the name it has, so it does not select behaviour.
fn is_steered(sig: &Signature) -> bool {
    let is_bool = |input: &FnArg| match input {
        FnArg::Typed(typed) => matches!(&*typed.ty, Type::Path(path) if path.path.is_ident("bool")),
        FnArg::Receiver(_) => false,
    };
    !sig.ident.to_string().starts_with("set_") && sig.inputs.iter().any(is_bool)
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.judge(&item.sig, Some(&item.block), Visible::from(&item.vis));
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.judge(&item.sig, Some(&item.block), Visible::from(&item.vis));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.in_public_trait = Visible::from(&item.vis);
        visit::visit_item_trait(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.judge(&item.sig, item.default.as_ref(), self.in_public_trait);
        visit::visit_trait_item_fn(self, item);
    }
}

#[test]
fn functions_are_short_and_take_few_parameters() {
    let sources = House::read().sources();
    let violations: Vec<_> = sources.iter().flat_map(check).collect();
    assert_kept(&violations);
}

fn sample(text: &str) -> Vec<Violation> {
    check(&Source::new("x.rs", text))
}

#[test]
fn a_function_that_is_too_long_is_found_wherever_it_stands() {
    let body = |lines: usize| format!("{{\n{}}}\n", "    call();\n".repeat(lines - 2));
    assert_kept(&sample(&format!("fn f() {}", body(70))));
    assert_eq!(
        places(&sample(&format!("\nfn f() {}", body(71)))),
        ["x.rs:2"]
    );
    assert_eq!(
        places(&sample(&format!("impl X {{\nfn f(&self) {}}}", body(71)))),
        ["x.rs:2"]
    );
    assert_eq!(
        places(&sample(&format!("trait X {{\nfn f(&self) {}}}", body(71)))),
        ["x.rs:2"]
    );
    assert_eq!(
        places(&sample(&format!("mod m {{\nfn f() {}}}", body(71)))),
        ["x.rs:2"]
    );
}

#[test]
fn a_seventh_parameter_is_found() {
    assert_kept(&sample("fn f(a: A, b: A, c: A, d: A, e: A, f: A) {}"));
    assert_eq!(
        sample("fn f(a: A, b: A, c: A, d: A, e: A, f: A, g: A) {}").len(),
        1
    );
    assert_eq!(
        sample("impl X { fn f(&self, b: A, c: A, d: A, e: A, f: A, g: A) {} }").len(),
        1
    );
}

#[test]
fn a_bool_that_steers_a_public_function_is_found() {
    assert_eq!(sample("pub fn write(pretty: bool) {}").len(), 1);
    assert_eq!(
        sample("pub trait X { fn write(&self, pretty: bool); }").len(),
        1
    );
    assert_kept(&sample("fn write(pretty: bool) {}"));
    assert_kept(&sample("pub(crate) fn write(pretty: bool) {}"));
    assert_kept(&sample(
        "impl X { pub fn set_enabled(&mut self, enabled: bool) {} }",
    ));
    assert_kept(&sample("impl Y for X { fn write(&self, pretty: bool) {} }"));
}

#[test]
fn a_file_that_does_not_parse_is_not_passed_over() {
    assert_eq!(places(&sample("fn f( {}")), ["x.rs:1"]);
}
