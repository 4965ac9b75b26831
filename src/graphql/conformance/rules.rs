//! What the library's rules of validation say, as everything else that is refused: the place, what came, what was expected.
//!
//! async-graphql 7.2.1 tells each in a sentence of its own, without a code, and two of them twice.

use std::collections::HashSet;

use async_graphql::ServerError;

use super::words;
use crate::error::Code;
use crate::graphql::fault::refused;

/// A rule's sentence, with a quote for each name in quotes; then the field, what came, what was expected, with the names
/// by their places. Sentences may go on.
type Rule = (&'static str, &'static str, &'static str, &'static str);

const RULES: [Rule; 28] = [
    ("Unknown field \" on type \".", "{0}", "an unknown field", "a field of {1}"),
    ("Unknown argument \" on field \" of type \".", "{0}", "an unknown argument", "an argument of {2}.{1}"),
    ("Unknown argument \" on directive \".", "{0}", "an unknown argument", "an argument of @{1}"),
    ("Unknown type \"", "{0}", "an unknown type", "a type of the schema"),
    ("Unknown fragment: \"", "{0}", "an unknown fragment", "a fragment of the document"),
    ("Unknown directive \"", "@{0}", "an unknown directive", "a directive of the schema"),
    ("Directive \" may not be used on \"", "@{0}", "it on {1}", "it where the schema allows it"),
    ("Duplicate directive \"", "@{0}", "the same directive twice", "it once"),
    ("Directive \" argument \" of type \" is required", "{0}.{1}", "nothing", "a value of type {2}"),
    ("Field \" argument \" of type \" is required", "{0}.{1}", "nothing", "a value: the field {0} of {2} needs it"),
    ("Field \" must not have a selection", "{0}", "a selection", "none: {1} has no fields"),
    ("Field \" of type \" must have a selection", "{0}", "no selection", "a selection of fields of {1}"),
    ("There can only be one argument named \"", "{0}", "the same argument twice", "it once"),
    ("There can only be one variable named \"", "{0}", "the same variable twice", "it once"),
    ("Variable \" is not defined", "{0}", "an unknown variable", "one that the operation declares"),
    ("Variable \" is not used", "{0}", "a variable that is not used", "only variables that the operation uses"),
    ("Variable \" cannot be of non-input type \"", "${0}", "a variable of type {1}", "an input type"),
    ("Variable \" of type \" used in position", "${0}", "a variable of type {1}", "one of type {2}"),
    ("Fragment \" is never used", "{0}", "a fragment that is not used", "only fragments that an operation uses"),
    ("Fragment \" cannot condition", "{0}", "a fragment on {1}", "one on an object, an interface or a union"),
    ("Fragment cannot condition", "...", "a fragment on {0}", "one on an object, an interface or a union"),
    ("Fragment \" cannot be spread here", "{0}", "a fragment on {2}", "one that a {1} may be"),
    ("Fragment cannot be spread here", "...", "a fragment on {1}", "one that a {0} may be"),
    ("Fields \" conflict because \" and \"", "{0}", "two different fields", "one, or an alias for each of them"),
    (
        "Fields \" conflict because they",
        "{0}",
        "a field with two sets of arguments",
        "one, or an alias for each of them",
    ),
    ("The Upload type is only allowed", "Upload", "a variable of it here", "it in a mutation"),
    ("Invalid value for argument \", expected type \"", "{0}", "another value", "a value of type {1}"),
    ("Invalid default value for argument: \", expected type \"", "{0}", "another value", "a value of type {1}"),
];

/// Puts what rules found into our words, each fault once.
pub fn in_our_words(errors: Vec<ServerError>) -> Vec<ServerError> {
    let mut told = HashSet::new();
    let place = |error: &ServerError| error.locations.first().map(|at| (at.line, at.column));
    errors.into_iter().map(reworded).filter(|error| told.insert((error.message.clone(), place(error)))).collect()
}

fn reworded(mut error: ServerError) -> ServerError {
    let message = undefined(&error.message).unwrap_or_else(|| error.message.clone());
    let (sentence, names) = unquoted(&message);
    let Some((rule, field, got, expected)) = RULES.iter().find(|(rule, ..)| sentence.starts_with(rule)) else {
        words::in_our_words(&mut error);
        return error;
    };
    // Values come from the caller, be it by way of the document.
    let code = if rule.starts_with("Invalid value") { Code::BadUserInput } else { Code::InvalidDocument };
    let filled = |text| filled(text, &names);
    let expected = format!("{}{}", filled(expected), suggestion(&sentence, &names));
    let mut told = refused(code.as_str(), None, &filled(field), filled(got), &expected);
    told.locations = error.locations;
    told
}

/// What the rule of variables says, where a cost was to be counted by one before that rule had its turn.
fn undefined(message: &str) -> Option<String> {
    let name = message.strip_prefix("Variable ")?.strip_suffix(" is not defined.")?;
    Some(format!("Variable \"${name}\" is not defined"))
}

/// A sentence with one quote for each name in quotes, and the names.
fn unquoted(message: &str) -> (String, Vec<&str>) {
    let parts: Vec<_> = message.split('"').collect();
    let sentence = parts.iter().step_by(2).copied().collect::<Vec<_>>().join("\"");
    (sentence, parts.into_iter().skip(1).step_by(2).collect())
}

fn filled(text: &str, names: &[&str]) -> String {
    let places = names.iter().enumerate();
    places.fold(text.to_owned(), |text, (place, name)| text.replace(&format!("{{{place}}}"), name))
}

/// What the caller may have meant.
fn suggestion(sentence: &str, names: &[&str]) -> String {
    match sentence.split_once(" Did you mean ") {
        Some((before, _)) => format!("; perhaps {}", names[before.matches('"').count()..].join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(messages: &[&str]) -> Vec<String> {
        let errors = messages.iter().map(|message| ServerError::new(*message, None)).collect();
        in_our_words(errors).into_iter().map(|error| error.message).collect()
    }

    #[test]
    fn a_rules_sentence_names_the_place_what_came_and_what_was_expected() {
        for (sentence, expected) in [
            (
                "Unknown field \"nam\" on type \"Collection\". Did you mean \"name\", \"id\"?",
                "nam: got an unknown field, expected a field of Collection; perhaps name, id",
            ),
            (
                "Variable \"$n\" is not used by operation \"A\"",
                "$n: got a variable that is not used, expected only variables that the operation uses",
            ),
            ("Variable n is not defined.", "$n: got an unknown variable, expected one that the operation declares"),
            (
                "Invalid value for argument \"input.query.vector\", expected type \"Vector\"",
                "input.query.vector: got another value, expected a value of type Vector",
            ),
        ] {
            assert_eq!(told(&[sentence, sentence]), [expected]);
        }
        assert_eq!(told(&["of no rule"]), ["of no rule"]);
    }
}
