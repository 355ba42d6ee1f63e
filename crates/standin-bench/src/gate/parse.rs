//! From text to a condition, by recursive descent.

use super::comparison::{Comparison, End, Relation};
use super::figure::{AttackFigure, IdentityFigure, Quantity, ScoreFigure, Side, UtilityFigure, measure_named};
use super::{Condition, GateError, canonical};

/// Parentheses and negations that may stand inside each other: far more than anybody reads, far fewer than the stack
/// holds.
const DEPTH: usize = 64;

/// The expression that all of `text` is.
pub(super) fn condition(text: &str) -> Result<Condition, GateError> {
    let mut parser = Parser { text, characters: text.chars().collect(), at: 0, depth: 0 };
    let condition = parser.any()?;
    parser.space();
    if parser.at < parser.characters.len() {
        let remedy = match parser.peek() {
            Some('&') => "write `and`",
            Some('|') => "write `or`",
            Some(')') => "there is no `(` before it; remove it",
            _ => "expected `and`, `or` or the end",
        };
        return Err(parser.unexpected(remedy));
    }
    Ok(condition)
}

struct Parser<'a> {
    text: &'a str,
    characters: Vec<char>,
    at: usize,
    depth: usize,
}

type Parsed<T> = Result<T, GateError>;

impl Parser<'_> {
    fn error(&self, at: usize, found: impl Into<String>, remedy: impl Into<String>) -> GateError {
        GateError { expression: self.text.into(), column: at + 1, found: found.into(), remedy: remedy.into() }
    }

    /// The error that something else should stand here.
    fn unexpected(&self, remedy: &str) -> GateError {
        let rest: String = self.characters[self.at..].iter().take_while(|c| !c.is_whitespace()).take(20).collect();
        let found = if rest.is_empty() { "the expression ends".into() } else { format!("found `{rest}`") };
        self.error(self.at, found, remedy)
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Takes a character, and the white space before it, if it is next.
    fn take(&mut self, wanted: char) -> bool {
        self.space();
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Takes a word in any letter case, if it is next and nothing continues it.
    fn keyword(&mut self, word: &str) -> bool {
        self.space();
        let end = self.at + word.len();
        let found = self.characters.get(self.at..end).is_some_and(|part| {
            part.iter().zip(word.chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b))
                && !self.characters.get(end).is_some_and(|&c| is_name(c) || c == '.')
        });
        if found {
            self.at = end;
        }
        found
    }

    fn any(&mut self) -> Parsed<Condition> {
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self) -> Parsed<Condition> {
        let mut parts = vec![self.negated()?];
        while self.keyword("and") {
            parts.push(self.negated()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn negated(&mut self) -> Parsed<Condition> {
        self.space();
        let start = self.at;
        let negation = self.keyword("not");
        if !negation && !self.take('(') {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > DEPTH {
            let found = format!("more than {DEPTH} parentheses and negations stand inside each other");
            return Err(self.error(start, found, "write several gates, which must all pass anyway"));
        }
        let condition = if negation {
            Condition::Not(Box::new(self.negated()?))
        } else {
            let inner = self.any()?;
            if !self.take(')') {
                return Err(self.unexpected(&format!("expected the `)` to the `(` in column {}", start + 1)));
            }
            inner
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn comparison(&mut self) -> Parsed<Condition> {
        self.space();
        let column = self.at + 1;
        let (quantity, end) = self.figure()?;
        let relation = self.relation()?;
        let bound = self.number("a number to compare with, such as 0.05 or 5%")?;
        Ok(Condition::Compare(Comparison { quantity, end, relation, bound, column }))
    }

    fn relation(&mut self) -> Parsed<Relation> {
        self.space();
        let strict = match self.peek() {
            Some('<') => Relation::Less,
            Some('>') => Relation::Greater,
            _ => return Err(self.unexpected("expected `<`, `<=`, `>` or `>=` and a number")),
        };
        self.at += 1;
        // No white space inside `<=`.
        if self.peek() != Some('=') {
            return Ok(strict);
        }
        self.at += 1;
        Ok(if strict == Relation::Less { Relation::LessOrEqual } else { Relation::GreaterOrEqual })
    }

    /// A finite number, divided by 100 before a percent sign.
    fn number(&mut self, what: &str) -> Parsed<f64> {
        self.space();
        let start = self.at;
        let digit = |parser: &Self, at: usize| parser.characters.get(at).is_some_and(char::is_ascii_digit);
        if matches!(self.peek(), Some('-' | '+')) {
            self.at += 1;
        }
        while digit(self, self.at) {
            self.at += 1;
        }
        // A dot without a digit after it begins the next name: `tpr@1.high`.
        if self.peek() == Some('.') && digit(self, self.at + 1) {
            self.at += 1;
            while digit(self, self.at) {
                self.at += 1;
            }
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            let signed = usize::from(matches!(self.characters.get(self.at + 1), Some('-' | '+')));
            if digit(self, self.at + 1 + signed) {
                self.at += 1 + signed;
                while digit(self, self.at) {
                    self.at += 1;
                }
            }
        }
        let digits: String = self.characters[start..self.at].iter().collect();
        let Some(value) = digits.parse::<f64>().ok().filter(|value| value.is_finite()) else {
            self.at = start;
            return Err(self.unexpected(&format!("expected {what}")));
        };
        let after = self.at;
        if self.take('%') {
            return Ok(value / 100.0);
        }
        self.at = after;
        if self.peek().is_some_and(is_name) {
            self.at = start;
            return Err(self.unexpected(&format!("expected {what}")));
        }
        Ok(value)
    }

    /// A name, or anything in quotation marks, and where it begins.
    fn name(&mut self, what: &str, also: &[char]) -> Parsed<(String, usize)> {
        self.space();
        let start = self.at;
        if self.take('"') {
            let rest = &self.characters[self.at..];
            let Some(length) = rest.iter().position(|&c| c == '"') else {
                return Err(self.error(start, "a quotation mark is not closed", "add `\"` after the name"));
            };
            let name: String = rest[..length].iter().collect();
            self.at += length + 1;
            return Ok((name, start));
        }
        while self.peek().is_some_and(|c| is_name(c) || also.contains(&c)) {
            self.at += 1;
        }
        if start == self.at {
            return Err(self.unexpected(&format!("expected {what}")));
        }
        Ok((self.characters[start..self.at].iter().collect(), start))
    }

    fn encoder(&mut self) -> Parsed<Option<String>> {
        if !self.take('@') {
            return Ok(None);
        }
        Ok(Some(self.name("the name of an encoder after `@`", &[':'])?.0))
    }

    fn figure(&mut self) -> Parsed<(Quantity, Option<End>)> {
        self.space();
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            return Err(self.unexpected("the figure stands on the left and the number on the right: fd_holdout < 20"));
        }
        let (root, start) =
            self.name("a figure, such as fd_holdout, attack.strongest.auc or utility.cnn.accuracy", &[])?;
        let quantity = match canonical(&root).as_str() {
            "attack" => self.attack()?,
            "utility" => self.utility()?,
            "scores" => Quantity::Scores(self.one_of("what of the scores", ScoreFigure::ALL)?),
            "identities" => Quantity::Identities(self.one_of("what of the identities", IdentityFigure::ALL)?),
            "measure" => {
                self.dot("the name of a measure")?;
                let (name, _) = self.name("the name of a measure, as in measure.coverage", &[])?;
                return self.measure(&name);
            }
            "" => return Err(self.error(start, "found an empty name", "name a figure, such as fd_holdout")),
            _ => return self.measure(&root),
        };
        let end = self.dotted_end()?;
        Ok((quantity, end))
    }

    fn dot(&mut self, what: &str) -> Parsed<()> {
        if self.take('.') { Ok(()) } else { Err(self.unexpected(&format!("expected `.` and {what}"))) }
    }

    /// One of a few names after a dot.
    fn one_of<T: Copy>(&mut self, what: &str, all: &[(&str, T)]) -> Parsed<T> {
        let names = || all.iter().map(|(name, _)| format!(".{name}")).collect::<Vec<_>>().join(", ");
        self.dot(&format!("{what}: {}", names()))?;
        let (found, at) = self.name(&format!("{what}: {}", names()), &[])?;
        let known = all.iter().find(|(name, _)| canonical(name) == canonical(&found));
        known.map(|(_, value)| *value).ok_or_else(|| {
            let remedy = match nearest(&found, all.iter().map(|(name, _)| *name)) {
                Some(name) => format!("did you mean `.{name}`? known are {}", names()),
                None => format!("known are {}", names()),
            };
            self.error(at, format!("there is no `.{found}` here"), remedy)
        })
    }

    fn measure(&mut self, name: &str) -> Parsed<(Quantity, Option<End>)> {
        let named = measure_named(name);
        let mut encoder = self.encoder()?;
        let (mut side, mut end) = (named.side, None);
        while self.take('.') {
            if end.is_some() {
                return Err(self.unexpected("nothing follows .value, .low or .high but a comparison"));
            }
            let (found, at) = self.name("train, holdout, value, low or high", &[])?;
            match canonical(&found).as_str() {
                "train" | "holdout" if side.is_some() => {
                    return Err(self.error(
                        at,
                        format!("`.{found}` says again what to compare with"),
                        "name one side, or none for both",
                    ));
                }
                "train" => side = Some(Side::Train),
                "holdout" => side = Some(Side::Holdout),
                other => {
                    end = Some(End::named(other).ok_or_else(|| {
                        self.error(
                            at,
                            format!("there is no `.{found}` of a measure"),
                            "known are .train, .holdout, .value, .low, .high; a name with a dot in it goes in \
                             quotation marks",
                        )
                    })?);
                }
            }
            if encoder.is_none() {
                encoder = self.encoder()?;
            }
        }
        let encoder = encoder.or_else(|| named.encoder.map(String::from));
        Ok((Quantity::Measure { name: named.name, written: name.into(), side, encoder }, end))
    }

    fn attack(&mut self) -> Parsed<Quantity> {
        self.dot("the name of an attack, or strongest")?;
        let (name, _) = self.name("the name of an attack, or strongest", &[])?;
        let encoder = self.encoder()?;
        let figure = self.one_of("what of the attack", AttackFigure::ALL)?;
        let figure = if let AttackFigure::TruePositiveRate(_) = figure {
            self.space();
            let column = self.at;
            if !self.take('@') {
                return Err(self.unexpected("expected the false-positive rate, as in tpr@1%"));
            }
            let rate = self.number("a false-positive rate, such as 1% or 0.01")?;
            if !(0.0..1.0).contains(&rate) {
                let found = format!("a false-positive rate of {rate}");
                return Err(self.error(column, found, "expected one from 0 to below 1: 1% or 0.01"));
            }
            AttackFigure::TruePositiveRate(rate)
        } else {
            figure
        };
        Ok(Quantity::Attack { name: (canonical(&name) != "strongest").then_some(name), encoder, figure })
    }

    fn utility(&mut self) -> Parsed<Quantity> {
        self.dot("the name of a classifier")?;
        let (classifier, _) = self.name("the name of a classifier, as in utility.cnn.accuracy", &[])?;
        Ok(Quantity::Utility { classifier, figure: self.one_of("what of the classifier", UtilityFigure::ALL)? })
    }

    fn dotted_end(&mut self) -> Parsed<Option<End>> {
        self.space();
        if self.peek() != Some('.') {
            return Ok(None);
        }
        self.one_of("which end of the interval", End::ALL).map(Some)
    }
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-')
}

/// The candidate most like `name`, if one is like it at all.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |candidate: &str| strsim::jaro_winkler(&canonical(name), &canonical(candidate));
    let (best, candidate) = candidates
        .into_iter()
        .map(|candidate| (likeness(candidate), candidate))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best > 0.6).then_some(candidate)
}
