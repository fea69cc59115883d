//! Tokens to a syntax tree.

use super::CompileError;
use super::lex::{Spanned, Token, tokens};
use super::macros;
use super::syntax::{Element, Entry, Expr, ExprKind, Literal, operators};
use std::ops::Range;

/// Nesting deeper than this is refused, as by the API server: its parser counts each level of the
/// tree, and so does this one.
pub(super) const DEPTH_LIMIT: usize = 250;

/// Texts of more characters are refused, as by the API server.
const SIZE_LIMIT: usize = 100_000;

/// Words that cannot be names of variables or functions.
const RESERVED: [&str; 18] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The tree of `text`, with all macros expanded, and the number of nodes.
pub(super) fn parse(text: &str, language: u16) -> Result<(Expr, usize), CompileError> {
    if text.chars().count() > SIZE_LIMIT {
        return Err(CompileError::syntax(
            format!(
                "expression code point size exceeds limit: size: {}, limit {SIZE_LIMIT}",
                text.chars().count()
            ),
            0..text.len(),
        ));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        position: 0,
        depth: 0,
        nodes: Nodes::default(),
        language,
    };
    let expr = parser.expr()?;
    parser.expect_end()?;
    Ok((expr, parser.nodes.count))
}

/// Makes nodes and numbers them.
#[derive(Default)]
pub(super) struct Nodes {
    pub(super) count: usize,
}

impl Nodes {
    pub(super) fn node(&mut self, at: &Range<usize>, kind: ExprKind) -> Expr {
        self.count += 1;
        Expr {
            id: self.count - 1,
            at: at.clone(),
            kind,
        }
    }

    pub(super) fn call(&mut self, at: &Range<usize>, function: &str, arguments: Vec<Expr>) -> Expr {
        self.node(
            at,
            ExprKind::Call {
                function: function.to_owned(),
                target: None,
                arguments,
            },
        )
    }
}

struct Parser {
    tokens: Vec<Spanned>,
    position: usize,
    depth: usize,
    nodes: Nodes,
    /// The minor version of Kubernetes whose macros are expanded.
    language: u16,
}

/// What binds, from the loosest to the tightest; all bind to the left.
const BINARY: [&[(&str, &str)]; 3] = [
    &[
        ("<", "_<_"),
        ("<=", "_<=_"),
        (">=", "_>=_"),
        (">", "_>_"),
        ("==", "_==_"),
        ("!=", "_!=_"),
        ("in", "@in"),
    ],
    &[("+", "_+_"), ("-", "_-_")],
    &[("*", "_*_"), ("/", "_/_"), ("%", "_%_")],
];

impl Parser {
    fn peek(&self) -> &Spanned {
        &self.tokens[self.position.min(self.tokens.len() - 1)]
    }

    fn advance(&mut self) -> Spanned {
        let token = self.peek().clone();
        self.position += 1;
        token
    }

    fn take(&mut self, symbol: &str) -> Option<Range<usize>> {
        if matches!(self.peek().token, Token::Symbol(found) if found == symbol) {
            return Some(self.advance().at);
        }
        None
    }

    fn expect(&mut self, symbol: &str) -> Result<Range<usize>, CompileError> {
        self.take(symbol)
            .ok_or_else(|| self.unexpected(&format!("'{symbol}'")))
    }

    fn expect_end(&self) -> Result<(), CompileError> {
        if self.peek().token == Token::End {
            return Ok(());
        }
        Err(self.unexpected("the end"))
    }

    fn unexpected(&self, wanted: &str) -> CompileError {
        let Spanned { token, at } = self.peek();
        let found = match token {
            Token::End => "the end".to_owned(),
            Token::Symbol(symbol) => format!("'{symbol}'"),
            Token::Ident(name) => format!("'{name}'"),
            Token::Literal(_) | Token::Integer { .. } => "a literal".to_owned(),
        };
        CompileError::syntax(
            format!("Syntax error: found {found} where {wanted} is expected"),
            at.clone(),
        )
    }

    /// Counts a level of nesting while `read` runs.
    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CompileError>,
    ) -> Result<T, CompileError> {
        if self.depth >= DEPTH_LIMIT {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let result = super::with_stack(|| read(self));
        self.depth -= 1;
        result
    }

    fn too_deep(&self) -> CompileError {
        CompileError::syntax(
            format!("expression recursion limit exceeded: {DEPTH_LIMIT}"),
            self.peek().at.clone(),
        )
    }

    fn expr(&mut self) -> Result<Expr, CompileError> {
        self.nested(|parser| {
            let condition = parser.logical(operators::OR)?;
            let Some(at) = parser.take("?") else {
                return Ok(condition);
            };
            let then = parser.logical(operators::OR)?;
            parser.expect(":")?;
            let otherwise = parser.expr()?;
            let arguments = vec![condition, then, otherwise];
            Ok(parser.nodes.call(&at, operators::CONDITIONAL, arguments))
        })
    }

    /// Terms joined by `||` or `&&`: one call, however many there are.
    fn logical(&mut self, operator: &str) -> Result<Expr, CompileError> {
        let is_or = operator == operators::OR;
        let term = |parser: &mut Self| {
            if is_or {
                parser.logical(operators::AND)
            } else {
                parser.binary(0)
            }
        };
        let first = term(self)?;
        let symbol = if is_or { "||" } else { "&&" };
        let Some(at) = self.take(symbol) else {
            return Ok(first);
        };
        let mut terms = vec![first, term(self)?];
        while self.take(symbol).is_some() {
            terms.push(term(self)?);
        }
        Ok(self.nodes.call(&at, operator, terms))
    }

    fn binary(&mut self, level: usize) -> Result<Expr, CompileError> {
        let Some(operators) = BINARY.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        let mut chained = 0;
        loop {
            let Token::Symbol(found) = self.peek().token else {
                return Ok(left);
            };
            let Some((_, function)) = operators.iter().find(|(symbol, _)| *symbol == found) else {
                return Ok(left);
            };
            // Each operator of a chain is a level of the tree.
            chained += 1;
            if self.depth + chained > DEPTH_LIMIT {
                return Err(self.too_deep());
            }
            let at = self.advance().at;
            let right = self.binary(level + 1)?;
            left = self.nodes.call(&at, function, vec![left, right]);
        }
    }

    fn unary(&mut self) -> Result<Expr, CompileError> {
        for (symbol, function) in [("!", operators::NOT), ("-", operators::NEGATE)] {
            let Some(at) = self.take(symbol) else {
                continue;
            };
            let mut count = 1;
            // The sign of a number belongs to it, where it stands right before it.
            if symbol == "-" && self.is_number() {
                let number = self.number(&at, true)?;
                return self.member(number);
            }
            while self.take(symbol).is_some() {
                count += 1;
                if symbol == "-" && self.is_number() {
                    let start = self.peek().at.start - 1;
                    let number = self.number(&(start..start + 1), true)?;
                    let member = self.member(number)?;
                    return Ok(if count % 2 == 0 {
                        self.nodes.call(&at, function, vec![member])
                    } else {
                        member
                    });
                }
            }
            let primary = self.primary()?;
            let member = self.member(primary)?;
            return Ok(if count % 2 == 1 {
                self.nodes.call(&at, function, vec![member])
            } else {
                member
            });
        }
        let primary = self.primary()?;
        self.member(primary)
    }

    fn is_number(&self) -> bool {
        matches!(
            self.peek().token,
            Token::Integer { .. } | Token::Literal(Literal::Double(_))
        )
    }

    fn number(&mut self, start: &Range<usize>, is_negative: bool) -> Result<Expr, CompileError> {
        let Spanned { token, at } = self.advance();
        let at = if is_negative { start.start..at.end } else { at };
        let sign = if is_negative { "-" } else { "" };
        let literal = match token {
            Token::Literal(Literal::Double(value)) if is_negative => Literal::Double(-value),
            Token::Literal(literal) => literal,
            Token::Integer { digits, radix } => {
                let value = i64::from_str_radix(&format!("{sign}{digits}"), radix)
                    .map_err(|_| CompileError::syntax("invalid int literal", at.clone()))?;
                Literal::Int(value)
            }
            _ => return Err(self.unexpected("a number")),
        };
        Ok(self.nodes.node(&at, ExprKind::Literal(literal)))
    }

    /// What follows a primary expression: fields, calls, indices.
    fn member(&mut self, mut expr: Expr) -> Result<Expr, CompileError> {
        let mut chained = 0;
        loop {
            chained += 1;
            if self.depth + chained > DEPTH_LIMIT {
                return Err(self.too_deep());
            }
            if self.take(".").is_some() {
                let is_optional = self.take("?").is_some();
                let Spanned { token, at } = self.advance();
                let Token::Ident(name) = token else {
                    self.position -= 1;
                    return Err(self.unexpected("the name of a field or function"));
                };
                if is_optional {
                    let field = self
                        .nodes
                        .node(&at, ExprKind::Literal(Literal::String(name)));
                    expr = self
                        .nodes
                        .call(&at, operators::OPTIONAL_SELECT, vec![expr, field]);
                } else if self.take("(").is_some() {
                    let arguments = self.arguments()?;
                    expr = macros::receiver(
                        &mut self.nodes,
                        self.language,
                        at,
                        name,
                        expr,
                        arguments,
                    )?;
                } else {
                    let kind = ExprKind::Select {
                        operand: Box::new(expr),
                        field: name,
                        is_test: false,
                    };
                    expr = self.nodes.node(&at, kind);
                }
            } else if let Some(open) = self.take("[") {
                let function = if self.take("?").is_some() {
                    operators::OPTIONAL_INDEX
                } else {
                    operators::INDEX
                };
                let index = self.expr()?;
                let close = self.expect("]")?;
                let at = open.start..close.end;
                expr = self.nodes.call(&at, function, vec![expr, index]);
            } else {
                return Ok(expr);
            }
        }
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, CompileError> {
        let mut arguments = Vec::new();
        if self.take(")").is_some() {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expr()?);
            if self.take(",").is_none() {
                self.expect(")")?;
                return Ok(arguments);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, CompileError> {
        let Spanned { token, at } = self.peek().clone();
        match token {
            Token::Integer { .. } => self.number(&at, false),
            Token::Literal(literal) => {
                self.advance();
                Ok(self.nodes.node(&at, ExprKind::Literal(literal)))
            }
            Token::Symbol("(") => {
                self.advance();
                let expr = self.expr()?;
                self.expect(")")?;
                Ok(expr)
            }
            Token::Symbol("[") => {
                self.advance();
                self.list(&at)
            }
            Token::Symbol("{") => {
                self.advance();
                self.map(&at)
            }
            Token::Symbol(".") => {
                self.advance();
                self.name()
            }
            Token::Ident(_) => self.name(),
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn name(&mut self) -> Result<Expr, CompileError> {
        let Spanned { token, at } = self.advance();
        let Token::Ident(name) = token else {
            self.position -= 1;
            return Err(self.unexpected("a name"));
        };
        if let Some(end) = self.struct_end() {
            return self.structure(name, at.start, end);
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(CompileError::syntax(
                format!("reserved identifier: {name}"),
                at,
            ));
        }
        if self.take("(").is_some() {
            let arguments = self.arguments()?;
            return macros::global(&mut self.nodes, at, name, arguments);
        }
        Ok(self.nodes.node(&at, ExprKind::Ident(name)))
    }

    /// The position of the `{`, where `.name` any number of times and then `{` come next.
    fn struct_end(&self) -> Option<usize> {
        let mut position = self.position;
        loop {
            match &self.tokens.get(position)?.token {
                Token::Symbol("{") => return Some(position),
                Token::Symbol(".") => {
                    let Token::Ident(_) = self.tokens.get(position + 1)?.token else {
                        return None;
                    };
                    position += 2;
                }
                _ => return None,
            }
        }
    }

    /// A message literal, `Name{field: value}`. No type of a policy's environment can be made so;
    /// what is in it is read so that errors after it are found.
    fn structure(&mut self, first: String, start: usize, end: usize) -> Result<Expr, CompileError> {
        let mut name = first;
        while self.position < end {
            if let Token::Ident(part) = self.advance().token {
                name.push('.');
                name.push_str(&part);
            }
        }
        let at = start..self.tokens[end - 1].at.end;
        self.expect("{")?;
        while self.take("}").is_none() {
            self.take("?");
            if !matches!(self.peek().token, Token::Ident(_)) {
                return Err(self.unexpected("the name of a field"));
            }
            self.advance();
            self.expect(":")?;
            self.expr()?;
            if self.take(",").is_none() {
                self.expect("}")?;
                break;
            }
        }
        Ok(self.nodes.node(&at, ExprKind::Struct(name)))
    }

    fn list(&mut self, open: &Range<usize>) -> Result<Expr, CompileError> {
        let mut elements = Vec::new();
        // A comma may follow the last element, and stand alone.
        if self.take(",").is_some() {
            self.expect("]")?;
            return Ok(self.nodes.node(open, ExprKind::List(elements)));
        }
        while self.take("]").is_none() {
            let is_optional = self.take("?").is_some();
            let value = self.expr()?;
            elements.push(Element { is_optional, value });
            if self.take(",").is_none() {
                self.expect("]")?;
                break;
            }
        }
        Ok(self.nodes.node(open, ExprKind::List(elements)))
    }

    fn map(&mut self, open: &Range<usize>) -> Result<Expr, CompileError> {
        let mut entries = Vec::new();
        if self.take(",").is_some() {
            self.expect("}")?;
            return Ok(self.nodes.node(open, ExprKind::Map(entries)));
        }
        while self.take("}").is_none() {
            let is_optional = self.take("?").is_some();
            let key = self.expr()?;
            self.expect(":")?;
            let value = self.expr()?;
            entries.push(Entry {
                is_optional,
                key,
                value,
            });
            if self.take(",").is_none() {
                self.expect("}")?;
                break;
            }
        }
        Ok(self.nodes.node(open, ExprKind::Map(entries)))
    }
}
