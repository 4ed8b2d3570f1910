//! Limits on the length and the parameters of functions. No public function takes a `bool` that selects behaviour, and
//! no `let` binds a tuple to a tuple.

use syn::visit::{self, Visit};
use syn::{
    Block, Expr, FnArg, ImplItemFn, ItemFn, ItemMod, ItemTrait, Local, Pat, Signature, TraitItemFn,
    Type, Visibility,
};

use super::house::{House, Source, is_for_tests, is_test_file};
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
        in_test: is_test_file(&source.path),
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
    in_test: bool,
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
                "a function has at most {LINES_MAX} lines, this one has {lines}: split it by its steps"
            ));
        }
        let parameters: usize = sig.inputs.iter().map(parameters).sum();
        if parameters > PARAMETERS_MAX {
            report(format!(
                "at most {PARAMETERS_MAX} parameters, here are {parameters} (each element of a tuple counts): make a \
                 struct of the ones that belong together"
            ));
        }
        if visible == Visible::Yes && is_steered(sig) {
            report(
                "a public function takes no `bool`: an enum shows the meaning at the call".into(),
            );
        }
    }
}

/// A tuple counts as its elements, also behind a reference.
fn parameters(input: &FnArg) -> usize {
    match input {
        FnArg::Typed(typed) => elements(&typed.ty),
        FnArg::Receiver(_) => 1,
    }
}

fn elements(ty: &Type) -> usize {
    match ty {
        Type::Tuple(tuple) => tuple.elems.iter().map(elements).sum::<usize>().max(1),
        Type::Reference(reference) => elements(&reference.elem),
        Type::Paren(paren) => elements(&paren.elem),
        _ => 1,
    }
}

/// True for `let (a, b) = (x, y);`. With an `else` it matches two values at once, and is not meant.
fn pairs(local: &Local) -> bool {
    let pattern = match &local.pat {
        Pat::Type(typed) => &*typed.pat,
        pattern => pattern,
    };
    let init = local.init.as_ref().filter(|init| init.diverge.is_none());
    let is_tuple =
        |init: &syn::LocalInit| matches!(&*init.expr, Expr::Tuple(it) if it.elems.len() > 1);
    matches!(pattern, Pat::Tuple(_)) && init.is_some_and(is_tuple)
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
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let outside = self.in_test;
        self.in_test |= item.attrs.iter().any(is_for_tests);
        visit::visit_item_mod(self, item);
        self.in_test = outside;
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if !self.in_test && pairs(local) {
            let law = "`let (a, b) = (x, y);` saves a line and hides the pairing: write one `let` for each name";
            let line = local.let_token.span.start().line;
            self.found.push(Violation::at(self.path, line, law));
        }
        visit::visit_local(self, local);
    }

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
fn functions_are_short_and_take_few_parameters_and_bind_one_name_a_let() {
    let sources = House::read().sources();
    let violations: Vec<_> = sources.iter().flat_map(check).collect();
    assert_kept(&violations);
}

fn sample(text: &str) -> Vec<Violation> {
    check(&Source::new("x.rs", text))
}

#[test]
fn a_function_that_is_too_long_is_found_everywhere() {
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
fn the_elements_of_a_tuple_are_parameters() {
    assert_kept(&sample("fn f(a: A, b: A, c: A, d: (), (e, f): &(A, B)) {}"));
    assert_kept(&sample(
        "fn f(a: &[(A, B, C, D)], b: impl Fn((A, B, C, D))) {}",
    ));
    assert_eq!(
        sample("fn f(a: A, b: A, c: A, d: A, (e, f, g): (A, B, C)) {}").len(),
        1
    );
    assert_eq!(
        sample("fn f(&self, a: A, b: A, c: &mut (A, (B, C), D)) {}").len(),
        1
    );
}

#[test]
fn a_let_of_two_tuples_is_found_outside_of_tests() {
    let text = "fn f() {\n    let (a, b) = (x, y);\n    let (a, b): (A, B) = (x, y);\n}";
    assert_eq!(places(&sample(text)), ["x.rs:2", "x.rs:3"]);
    assert_kept(&sample("fn f() { let (a, b) = g(); let a = (x, y); }"));
    assert_kept(&sample(
        "fn f() { let (Some(a), Some(b)) = (x, y) else { return }; }",
    ));
    assert_kept(&sample(&format!("#[cfg(test)]\nmod tests {{ {text} }}")));
    assert_kept(&check(&Source::new("src/tests.rs", text)));
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
