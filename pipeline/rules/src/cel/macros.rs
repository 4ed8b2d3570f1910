//! The macros of CEL, recognised from their expansion by the parser.

use cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

use super::tree::Macro;

/// A macro as it was written.
pub(super) struct MacroCall<'e> {
    pub(super) kind: Macro,
    pub(super) range: &'e IdedExpr,
    pub(super) variable: &'e str,
    pub(super) test: Option<&'e IdedExpr>,
    pub(super) item: Option<&'e IdedExpr>,
}

impl<'e> MacroCall<'e> {
    /// `None` if no macro expands to this.
    pub(super) fn of(from: &'e ComprehensionExpr) -> Option<Self> {
        let (kind, test, item) = match &from.accu_init.expr {
            Expr::Literal(LiteralValue::Boolean(init)) => {
                let [_, test] = arguments(&from.loop_step)?.1 else {
                    return None;
                };
                let kind = if *init.inner() {
                    Macro::All
                } else {
                    Macro::Exists
                };
                (kind, Some(test), None)
            }
            Expr::Literal(LiteralValue::Int(_)) => {
                let [test, ..] = arguments(&from.loop_step)?.1 else {
                    return None;
                };
                (Macro::ExistsOne, Some(test), None)
            }
            Expr::List(_) => list_of(from)?,
            _ => return None,
        };
        Some(Self {
            kind,
            range: &from.iter_range,
            variable: &from.iter_var,
            test,
            item,
        })
    }
}

/// The macro, its test and its item.
type Parts<'e> = (Macro, Option<&'e IdedExpr>, Option<&'e IdedExpr>);

/// `filter`, or `map` with or without a test.
fn list_of(from: &ComprehensionExpr) -> Option<Parts<'_>> {
    let (test, step) = match arguments(&from.loop_step)? {
        (operators::CONDITIONAL, [test, step, _]) => (Some(test), step),
        _ => (None, &from.loop_step),
    };
    let (operators::ADD, [_, added]) = arguments(step)? else {
        return None;
    };
    let Expr::List(added) = &added.expr else {
        return None;
    };
    let [item] = added.elements.as_slice() else {
        return None;
    };
    let is_variable = matches!(&item.expr, Expr::Ident(name) if *name == from.iter_var);
    Some(if test.is_some() && is_variable {
        (Macro::Filter, test, None)
    } else {
        (Macro::Map, test, Some(item))
    })
}

fn arguments(from: &IdedExpr) -> Option<(&str, &[IdedExpr])> {
    match &from.expr {
        Expr::Call(call) => Some((&call.func_name, &call.args)),
        _ => None,
    }
}
