//! From the text of an expression to a checked tree: every name one that rules know, every bound kept.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use cel::parser::PrattParser;

use super::bounds::{self, DEPTH_MAX, NODES_MAX};
use super::functions::{self, Named};
use super::macros::Expanded;
use super::place::{Wrong, of_parser};
use super::syntax;
use super::tree::{Loop, Operation, Tree};
use crate::condition::{Function as StateFunction, StateTest};
use crate::path::{HEADS, Known, Path, is_action_field};
use crate::problems::{quoted, unknown};
use crate::template::{Part, Template};

/// How many macros may stand in one another.
const MACROS_MAX: usize = 2;
/// How deep the parser may go by itself; brackets were counted before.
const PARSER_DEPTH: u16 = 100;
const NAMES_BYTES_MAX: usize = 256;

/// # Errors
/// The first thing that is wrong.
pub(super) fn read(text: &str, known: &mut Known, zone: u32) -> Result<Tree, Wrong> {
    bounds::check(text)?;
    let parser = PrattParser::new().max_recursion_depth(PARSER_DEPTH);
    let parsed = parser
        .parse(text)
        .map_err(|errors| first_of(&errors, text))?;
    let mut check = Check {
        text,
        known,
        zone,
        nodes: 0,
        variables: Vec::new(),
    };
    check.tree(&parsed, 1)
}

fn first_of(errors: &cel::ParseErrors, text: &str) -> Wrong {
    let first = errors.errors.iter().min_by_key(|error| error.pos);
    let message = first.and_then(|error| error.msg.lines().next());
    let message = message.unwrap_or("it cannot be read");
    let wrong = syntax::told(message.trim_start_matches("Syntax error: "));
    match first.and_then(|error| of_parser(text, error.pos)) {
        Some(place) => Wrong::at(wrong, place),
        None => wrong.into(),
    }
}

struct Check<'c> {
    text: &'c str,
    known: &'c mut Known,
    zone: u32,
    nodes: usize,
    /// The variables of the macros around, the innermost last.
    variables: Vec<String>,
}

type Checked = Result<Tree, Wrong>;

impl Check<'_> {
    fn tree(&mut self, from: &IdedExpr, depth: usize) -> Checked {
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
                        return Err("a message has no place in a rule".into());
                    };
                    entries.push((
                        self.tree(&entry.key, depth + 1)?,
                        self.tree(&entry.value, depth + 1)?,
                    ));
                }
                Ok(Tree::Map(entries.into()))
            }
            Expr::Comprehension(comprehension) => {
                let expanded = Expanded::of(comprehension).ok_or("this macro is not known")?;
                self.expanded(&expanded, depth)
            }
            Expr::List(_) | Expr::Struct(_) | Expr::Unspecified => {
                Err("messages and optional values have no place in a rule".into())
            }
        }
    }

    fn each(&mut self, from: &[IdedExpr], depth: usize) -> Result<Box<[Tree]>, Wrong> {
        from.iter().map(|one| self.tree(one, depth + 1)).collect()
    }

    fn boxed(&mut self, from: &IdedExpr, depth: usize) -> Result<Box<Tree>, Wrong> {
        self.tree(from, depth + 1).map(Box::new)
    }

    /// A name that stands alone.
    fn name(&mut self, name: &str) -> Checked {
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
        Err(Wrong::from(message).near(self.text, &[name]))
    }

    /// The path that a row of fields spells from `action`, `time` or `env` on.
    fn path(&mut self, from: &IdedExpr) -> Result<Option<Path>, Wrong> {
        let words = self.words(from);
        if words.len() < 2 {
            return Ok(None);
        }
        self.nodes += words.len() - 1;
        self.spelled(&words).map(Some)
    }

    /// The words of such a row, its beginning first; none when it is another one.
    fn words<'e>(&self, from: &'e IdedExpr) -> Vec<&'e str> {
        let (mut words, mut at) = (Vec::new(), from);
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

    fn spelled(&mut self, words: &[&str]) -> Result<Path, Wrong> {
        if words.len() > DEPTH_MAX {
            return Err(format!("a path has more than {DEPTH_MAX} names").into());
        }
        if let ["action", "metadata", _, _, ..] = words {
            let message = "a label is a string and has no fields; write a name with dots as in `action.metadata[\"a.b\"]`";
            return Err(Wrong::from(message).near(self.text, words));
        }
        let segments: Vec<_> = words.iter().map(|word| as_segment(word)).collect();
        let path = self.known.path(&segments.join("."), self.zone);
        path.map_err(|message| Wrong::from(message).near(self.text, words))
    }

    fn select(&mut self, select: &SelectExpr, depth: usize) -> Checked {
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

    fn call(&mut self, call: &CallExpr, depth: usize) -> Checked {
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

    /// The operands of a row of `&&` or of `||`, however the parser has nested them.
    fn row(&mut self, call: &CallExpr, depth: usize) -> Result<Box<[Tree]>, Wrong> {
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

    fn function(&mut self, call: &CallExpr, depth: usize) -> Checked {
        let operands: Vec<&IdedExpr> = call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect();
        let name = call.func_name.as_str();
        let near = |message: String| Wrong::from(message).near(self.text, &[name]);
        let named = functions::named(name, call.target.is_some(), operands.len()).map_err(near)?;
        match (named, operands.as_slice()) {
            (Named::State(function), _) => self.state(function, name, &operands, depth),
            (Named::Matches, [value, pattern]) => {
                let Expr::Literal(LiteralValue::String(pattern)) = &pattern.expr else {
                    let message = "the pattern of `matches` is written in the rule: it is compiled when the rule is loaded";
                    return Err(near(message.to_owned()));
                };
                let pattern = self.known.patterns.compile(pattern.inner()).map_err(near)?;
                Ok(Tree::Matches(self.boxed(value, depth)?, Box::new(pattern)))
            }
            (Named::Function(function), _) => {
                let arguments: Result<Vec<_>, _> = operands
                    .iter()
                    .map(|one| self.tree(one, depth + 1))
                    .collect();
                Ok(Tree::Call(function, arguments?.into()))
            }
            (Named::Matches, _) => Err("`matches` takes a text and a pattern".into()),
        }
    }

    fn state(
        &mut self,
        function: StateFunction,
        name: &str,
        operands: &[&IdedExpr],
        depth: usize,
    ) -> Checked {
        let (mut arguments, mut written) = (Vec::new(), Vec::new());
        for operand in operands {
            let parts = self.argument(operand, depth);
            let parts = parts.map_err(|wrong| wrong.near(self.text, &[name]))?;
            written.push(parts.iter().map(as_written).collect::<Vec<_>>().join(" + "));
            arguments.push(Template::of(parts));
        }
        let made = function.over(arguments);
        let (read, reading) =
            made.map_err(|message| Wrong::from(message).near(self.text, &[name]))?;
        Ok(Tree::State(StateTest {
            text: format!("{name}({})", written.join(", ")).into(),
            number: self.known.reads.number(read),
            reading,
            operators: Box::new([]),
        }))
    }

    /// What a state function is asked about is known before the rules run: texts and paths, joined by `+`.
    fn argument(&mut self, from: &IdedExpr, depth: usize) -> Result<Vec<Part>, Wrong> {
        let mut parts = Vec::new();
        parts_of(self.tree(from, depth + 1)?, &mut parts)?;
        Ok(parts)
    }

    fn expanded(&mut self, expanded: &Expanded<'_>, depth: usize) -> Checked {
        let range = self.tree(expanded.range, depth + 1)?;
        if self.variables.len() == MACROS_MAX {
            let wrong = Wrong::from("a macro may hold one level of macros, not more");
            return Err(wrong.near(self.text, &[expanded.variable]));
        }
        let variable = expanded.variable;
        if HEADS.contains(&variable) || variable.len() > NAMES_BYTES_MAX {
            let wrong = Wrong::from(format!(
                "the variable {} needs another name",
                quoted(variable)
            ));
            return Err(wrong.near(self.text, &[variable, variable]));
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

fn literal_of(literal: &LiteralValue) -> Checked {
    Ok(match literal {
        LiteralValue::Boolean(value) => Tree::Bool(*value.inner()),
        LiteralValue::Double(value) => Tree::Double(*value.inner()),
        LiteralValue::Int(value) => Tree::Int(*value.inner()),
        LiteralValue::UInt(value) => Tree::Uint(*value.inner()),
        LiteralValue::String(value) => Tree::Text(value.inner().into()),
        LiteralValue::Null => Tree::Null,
        LiteralValue::Bytes(_) => return Err("JSON has no bytes; write a string".into()),
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

/// The field as a path writes it; quoted, so that it never indexes a list.
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

fn parts_of(tree: Tree, parts: &mut Vec<Part>) -> Result<(), Wrong> {
    match tree {
        Tree::Text(text) => parts.push(Part::Plain(text)),
        Tree::Path(path) => parts.push(Part::Path(path)),
        Tree::Binary(Operation::Add, operands) => {
            for operand in *operands {
                parts_of(operand, parts)?;
            }
        }
        _ => {
            let message = "a state function is asked about strings and paths, joined by `+`: what it reads is fetched before the rules run";
            return Err(message.into());
        }
    }
    Ok(())
}

fn as_written(part: &Part) -> String {
    match part {
        Part::Plain(text) => format!("{text:?}"),
        Part::Path(path) => path.text().to_owned(),
    }
}
