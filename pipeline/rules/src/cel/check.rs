//! From the text of an expression to a checked tree, in which every name is known to rules and every bound is kept.

use std::time::Duration;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use cel::parser::PrattParser;

use super::bounds::{self, DEPTH_MAX, NODES_MAX};
use super::functions::{self, Callee};
use super::macros::MacroCall;
use super::problem::{CelProblem, of_parser};
use super::syntax;
use super::tree::{Loop, Operation, Tree};
use crate::condition::{EventFunction, StateTest};
use crate::load::LoadTables;
use crate::path::{FactPath, HEADS, is_action_field};
use crate::problems::{quoted, unknown};
use crate::reads::Argument;
use crate::template::{Template, TemplatePart};

/// How deep macros may nest.
const MACROS_MAX: usize = 2;
/// The recursion limit of the parser. Brackets have been counted before.
const PARSER_DEPTH: u16 = 100;
const NAMES_BYTES_MAX: usize = 256;

/// Reads an expression. `zone` is the rule's time zone.
///
/// # Errors
/// The first problem.
pub(super) fn read(text: &str, tables: &mut LoadTables, zone: u32) -> Result<Tree, CelProblem> {
    bounds::check(text)?;
    let parser = PrattParser::new().max_recursion_depth(PARSER_DEPTH);
    let parsed = parser
        .parse(text)
        .map_err(|errors| first_of(&errors, text))?;
    let mut check = Check {
        text,
        tables,
        zone,
        nodes: 0,
        variables: Vec::new(),
    };
    check.tree(&parsed, 1)
}

fn first_of(errors: &cel::ParseErrors, text: &str) -> CelProblem {
    let first = errors.errors.iter().min_by_key(|error| error.pos);
    let message = first.and_then(|error| error.msg.lines().next());
    let message = message.unwrap_or("it cannot be read");
    let problem = syntax::reworded(message.trim_start_matches("Syntax error: "));
    match first.and_then(|error| of_parser(text, error.pos.0, error.pos.1)) {
        Some(place) => CelProblem::at(problem, place),
        None => problem.into(),
    }
}

struct Check<'c> {
    text: &'c str,
    tables: &'c mut LoadTables,
    zone: u32,
    nodes: usize,
    /// The variables of the enclosing macros, innermost last.
    variables: Vec<String>,
}

type TreeResult = Result<Tree, CelProblem>;

impl Check<'_> {
    fn tree(&mut self, from: &IdedExpr, depth: usize) -> TreeResult {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("the expression has more than {NODES_MAX} nodes").into());
        }
        if depth > DEPTH_MAX {
            let message = format!("the expression is nested deeper than {DEPTH_MAX} levels");
            return Err(message.into());
        }
        if let Some(path) = self.path(from)? {
            return Ok(Tree::Path(path));
        }
        match &from.expr {
            Expr::Literal(literal) => literal_of(literal),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.select(select, depth),
            Expr::Call(call) => self.call(call, depth),
            Expr::List(list) if list.optional_indices.is_empty() => {
                self.each(&list.elements, depth).map(Tree::List)
            }
            Expr::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err("rules have no protobuf messages".into());
                    };
                    entries.push((
                        self.tree(&entry.key, depth + 1)?,
                        self.tree(&entry.value, depth + 1)?,
                    ));
                }
                Ok(Tree::Map(entries.into()))
            }
            Expr::Comprehension(comprehension) => {
                let expanded = MacroCall::of(comprehension).ok_or("unknown macro")?;
                self.expanded(&expanded, depth)
            }
            Expr::List(_) | Expr::Struct(_) | Expr::Unspecified => {
                Err("rules have no protobuf messages and no optional values".into())
            }
        }
    }

    fn each(&mut self, from: &[IdedExpr], depth: usize) -> Result<Box<[Tree]>, CelProblem> {
        from.iter().map(|one| self.tree(one, depth + 1)).collect()
    }

    fn boxed(&mut self, from: &IdedExpr, depth: usize) -> Result<Box<Tree>, CelProblem> {
        self.tree(from, depth + 1).map(Box::new)
    }

    /// A name without a field.
    fn name(&mut self, name: &str) -> TreeResult {
        let at = self.variables.iter().rposition(|known| known == name);
        if let Some(at) = at {
            return Ok(Tree::Variable(self.variables.len() - 1 - at));
        }
        let message = match name {
            "now" => return Ok(Tree::Path(self.spelled(&[name])?)),
            "action" => "`action` needs a field, such as `action.tenant`".to_owned(),
            "time" => "`time` needs a field, such as `time.hour`".to_owned(),
            "env" => "`env` needs a field, such as `env.REGION`".to_owned(),
            _ if is_action_field(name) => {
                let meant = quoted(&format!("action.{name}"));
                format!("unknown name {}; did you mean {meant}?", quoted(name))
            }
            _ => {
                let variables = self.variables.iter().map(String::as_str);
                let known: Vec<_> = HEADS.into_iter().chain(variables).collect();
                unknown("name", name, &known)
            }
        };
        Err(CelProblem::from(message).near(self.text, &[name]))
    }

    /// The path that a row of fields spells, if it begins with `action`, `time` or `env`.
    fn path(&mut self, from: &IdedExpr) -> Result<Option<FactPath>, CelProblem> {
        let words = self.words(from);
        if words.len() < 2 {
            return Ok(None);
        }
        self.nodes += words.len() - 1;
        self.spelled(&words).map(Some)
    }

    /// The names of such a row, from its beginning; empty for any other expression.
    fn words<'e>(&self, from: &'e IdedExpr) -> Vec<&'e str> {
        let mut words = Vec::new();
        let mut at = from;
        loop {
            match &at.expr {
                Expr::Select(select) if !select.test => {
                    words.push(select.field.as_str());
                    at = &select.operand;
                }
                Expr::Call(call) => match literal_index(call) {
                    Some((operand, field)) => {
                        words.push(field);
                        at = operand;
                    }
                    None => return Vec::new(),
                },
                Expr::Ident(head) if self.is_head(head) => {
                    words.push(head.as_str());
                    words.reverse();
                    return words;
                }
                _ => return Vec::new(),
            }
        }
    }

    fn is_head(&self, name: &str) -> bool {
        matches!(name, "action" | "time" | "env") && !self.variables.iter().any(|v| v == name)
    }

    fn spelled(&mut self, words: &[&str]) -> Result<FactPath, CelProblem> {
        if words.len() > DEPTH_MAX {
            return Err(format!("a path has more than {DEPTH_MAX} names").into());
        }
        if let ["action", "metadata", _, _, ..] = words {
            let message = "a label is a string and has no fields; write a label name with dots as in `action.metadata[\"a.b\"]`";
            return Err(CelProblem::from(message).near(self.text, words));
        }
        let segments: Vec<_> = words.iter().map(|word| as_segment(word)).collect();
        let path = self.tables.paths.path(&segments.join("."), self.zone);
        path.map_err(|message| CelProblem::from(message).near(self.text, words))
    }

    fn select(&mut self, select: &SelectExpr, depth: usize) -> TreeResult {
        let field = select.field.as_str();
        if !select.test {
            let operand = self.boxed(&select.operand, depth)?;
            return Ok(Tree::Select(operand, field.into()));
        }
        let mut words = self.words(&select.operand);
        if words.is_empty() {
            return Ok(Tree::Has(self.boxed(&select.operand, depth)?, field.into()));
        }
        words.push(field);
        self.nodes += words.len() - 1;
        self.spelled(&words).map(Tree::IsSet)
    }

    fn call(&mut self, call: &CallExpr, depth: usize) -> TreeResult {
        let name = call.func_name.as_str();
        match (name, call.args.as_slice()) {
            (operators::LOGICAL_AND, _) => self.row(call, depth).map(Tree::And),
            (operators::LOGICAL_OR, _) => self.row(call, depth).map(Tree::Or),
            (operators::LOGICAL_NOT, [inner]) => Ok(Tree::Not(self.boxed(inner, depth)?)),
            (operators::NEGATE, [inner]) => Ok(negated(self.tree(inner, depth + 1)?)),
            (operators::INDEX, [value, index]) => Ok(Tree::Index(
                self.boxed(value, depth)?,
                self.boxed(index, depth)?,
            )),
            (operators::CONDITIONAL, [test, yes, no]) => Ok(Tree::Conditional(Box::new([
                self.tree(test, depth + 1)?,
                self.tree(yes, depth + 1)?,
                self.tree(no, depth + 1)?,
            ]))),
            (_, [left, right]) if let Some(operation) = operation(name) => {
                let operands = [self.tree(left, depth + 1)?, self.tree(right, depth + 1)?];
                Ok(Tree::Binary(operation, Box::new(operands)))
            }
            _ => self.function(call, depth),
        }
    }

    /// The operands of a row of `&&` or `||`, however the parser has nested them.
    fn row(&mut self, call: &CallExpr, depth: usize) -> Result<Box<[Tree]>, CelProblem> {
        let mut waiting: Vec<&IdedExpr> = call.args.iter().rev().collect();
        let mut operands = Vec::new();
        while let Some(next) = waiting.pop() {
            match &next.expr {
                Expr::Call(inner) if inner.func_name == call.func_name => {
                    waiting.extend(inner.args.iter().rev());
                }
                _ => operands.push(self.tree(next, depth + 1)?),
            }
        }
        Ok(operands.into())
    }

    fn function(&mut self, call: &CallExpr, depth: usize) -> TreeResult {
        let operands: Vec<&IdedExpr> = call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect();
        let name = call.func_name.as_str();
        let near = |message: String| CelProblem::from(message).near(self.text, &[name]);
        let named = functions::named(name, call.target.is_some(), operands.len()).map_err(near)?;
        match (named, operands.as_slice()) {
            (Callee::State(function), _) => self.state(function, name, &operands, depth),
            (Callee::Matches, [value, pattern]) => {
                let Expr::Literal(LiteralValue::String(pattern)) = &pattern.expr else {
                    let message = "the pattern of `matches` must be a string literal: it is compiled when the rules are loaded";
                    return Err(near(message.to_owned()));
                };
                let pattern = self
                    .tables
                    .patterns
                    .compile(pattern.inner())
                    .map_err(near)?;
                Ok(Tree::Matches(self.boxed(value, depth)?, Box::new(pattern)))
            }
            (Callee::Function(function), _) => {
                let arguments: Result<Vec<_>, _> = operands
                    .iter()
                    .map(|one| self.tree(one, depth + 1))
                    .collect();
                Ok(Tree::Call(function, arguments?.into()))
            }
            (Callee::Matches, _) => Err("`matches` takes a text and a pattern".into()),
        }
    }

    fn state(
        &mut self,
        function: EventFunction,
        name: &str,
        operands: &[&IdedExpr],
        depth: usize,
    ) -> TreeResult {
        let mut arguments = Vec::new();
        let mut written = Vec::new();
        for operand in operands {
            let argument = self.argument(operand, depth);
            let (argument, text) = argument.map_err(|problem| problem.near(self.text, &[name]))?;
            written.push(text);
            arguments.push(argument);
        }
        let made = function.over(arguments, Duration::ZERO);
        let (read, kind) =
            made.map_err(|message| CelProblem::from(message).near(self.text, &[name]))?;
        Ok(Tree::State(StateTest {
            text: format!("{name}({})", written.join(", ")).into(),
            number: self.tables.reads.number(read),
            kind,
            operators: Box::new([]),
        }))
    }

    /// The argument of a state function, and how to write it: a value, or a map from one name to a value.
    fn argument(
        &mut self,
        from: &IdedExpr,
        depth: usize,
    ) -> Result<(Argument, String), CelProblem> {
        let Some((name, value)) = named(from) else {
            let (value, text) = self.argument_value(from, depth)?;
            return Ok((Argument::Plain(value), text));
        };
        let (value, text) = self.argument_value(value, depth + 1)?;
        let text = format!("{{{name:?}: {text}}}");
        Ok((Argument::Named(name.into(), value), text))
    }

    /// What must be known before the rules run: texts and paths, joined by `+`.
    fn argument_value(
        &mut self,
        from: &IdedExpr,
        depth: usize,
    ) -> Result<(Template, String), CelProblem> {
        let mut parts = Vec::new();
        parts_of(self.tree(from, depth + 1)?, &mut parts)?;
        let text = parts.iter().map(as_written).collect::<Vec<_>>().join(" + ");
        Ok((Template::of(parts), text))
    }

    fn expanded(&mut self, expanded: &MacroCall<'_>, depth: usize) -> TreeResult {
        let range = self.tree(expanded.range, depth + 1)?;
        if self.variables.len() == MACROS_MAX {
            let problem = CelProblem::from("macros may nest two levels deep");
            return Err(problem.near(self.text, &[expanded.variable]));
        }
        let variable = expanded.variable;
        if HEADS.contains(&variable) || variable.len() > NAMES_BYTES_MAX {
            let problem = CelProblem::from(format!(
                "{} cannot be the name of a variable",
                quoted(variable)
            ));
            return Err(problem.near(self.text, &[variable, variable]));
        }
        self.variables.push(variable.to_owned());
        let test = expanded
            .test
            .map(|test| self.tree(test, depth + 1))
            .transpose();
        let item = expanded
            .item
            .map(|item| self.tree(item, depth + 1))
            .transpose();
        self.variables.pop();
        let inner = Loop {
            range,
            test: test?,
            item: item?,
        };
        Ok(Tree::Macro(expanded.kind, Box::new(inner)))
    }
}

fn literal_of(literal: &LiteralValue) -> TreeResult {
    Ok(match literal {
        LiteralValue::Boolean(value) => Tree::Bool(*value.inner()),
        LiteralValue::Double(value) => Tree::Double(*value.inner()),
        LiteralValue::Int(value) => Tree::Int(*value.inner()),
        LiteralValue::UInt(value) => Tree::Uint(*value.inner()),
        LiteralValue::String(value) => Tree::Text(value.inner().into()),
        LiteralValue::Null => Tree::Null,
        LiteralValue::Bytes(_) => return Err("JSON has no bytes; use a string".into()),
    })
}

fn negated(inner: Tree) -> Tree {
    match inner {
        Tree::Int(value) if value != i64::MIN => Tree::Int(-value),
        Tree::Double(value) => Tree::Double(-value),
        other => Tree::Negate(Box::new(other)),
    }
}

/// `value["field"]`
fn literal_index(call: &CallExpr) -> Option<(&IdedExpr, &str)> {
    match call.args.as_slice() {
        [operand, index] if call.func_name == operators::INDEX => match &index.expr {
            Expr::Literal(LiteralValue::String(field)) => Some((operand, field.inner())),
            _ => None,
        },
        _ => None,
    }
}

/// The field as a segment of a path. A number is quoted, so that it does not index a list.
fn as_segment(field: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_number = field.starts_with(|c: char| c.is_ascii_digit());
    if !field.is_empty() && !is_number && field.chars().all(is_plain) {
        return field.to_owned();
    }
    format!("\"{}\"", field.replace('\\', "\\\\").replace('"', "\\\""))
}

fn operation(name: &str) -> Option<Operation> {
    Some(match name {
        operators::EQUALS => Operation::Equals,
        operators::NOT_EQUALS => Operation::NotEquals,
        operators::LESS => Operation::Less,
        operators::LESS_EQUALS => Operation::LessEquals,
        operators::GREATER => Operation::Greater,
        operators::GREATER_EQUALS => Operation::GreaterEquals,
        operators::IN => Operation::In,
        operators::ADD => Operation::Add,
        operators::SUBSTRACT => Operation::Subtract,
        operators::MULTIPLY => Operation::Multiply,
        operators::DIVIDE => Operation::Divide,
        operators::MODULO => Operation::Modulo,
        _ => return None,
    })
}

/// The name and the value of a map that has one entry under a text.
fn named(from: &IdedExpr) -> Option<(&str, &IdedExpr)> {
    let Expr::Map(map) = &from.expr else {
        return None;
    };
    let [entry] = map.entries.as_slice() else {
        return None;
    };
    let EntryExpr::MapEntry(entry) = &entry.expr else {
        return None;
    };
    match &entry.key.expr {
        Expr::Literal(LiteralValue::String(name)) => Some((name.inner(), &entry.value)),
        _ => None,
    }
}

fn parts_of(tree: Tree, parts: &mut Vec<TemplatePart>) -> Result<(), CelProblem> {
    match tree {
        Tree::Text(text) => parts.push(TemplatePart::Plain(text)),
        Tree::Path(path) => parts.push(TemplatePart::Path(path)),
        Tree::Binary(Operation::Add, operands) => {
            for operand in *operands {
                parts_of(operand, parts)?;
            }
        }
        _ => {
            let message = "an argument of a state function must be a string or a path, or several joined by `+`: the state is read before the rules run";
            return Err(message.into());
        }
    }
    Ok(())
}

fn as_written(part: &TemplatePart) -> String {
    match part {
        TemplatePart::Plain(text) => format!("{text:?}"),
        TemplatePart::Path(path) => path.text().to_owned(),
    }
}
