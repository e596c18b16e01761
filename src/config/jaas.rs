//! The syntax of `sasl.jaas.config` (KIP-85): `CLASS required NAME="VALUE" .. ;`, as Java's `JaasConfig` reads it. Cloud
//! consoles hand credentials out like this.

use super::Secret;

/// A login module and its options.
#[derive(Debug)]
pub(super) struct Jaas {
    pub(super) module: LoginModule,
    options: Vec<(String, Secret)>,
}

/// The login modules that this client can stand in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginModule {
    Plain,
    Scram,
    OauthBearer,
}

/// What is wrong. Never shows what stands there, but for names that are known.
pub(super) type Fault = String;

impl Jaas {
    /// Reads the one login module of the text.
    pub(super) fn parse(text: &str) -> Result<Jaas, Fault> {
        let mut tokens = Tokens { rest: text, length: text.len() };
        let module = match tokens.next()? {
            Some(Token::Text(class)) => LoginModule::of_class(&class)?,
            Some(_) => return Err(tokens.expected("the class of a login module")),
            None => return Err("there is no login module".to_owned()),
        };
        match tokens.next()? {
            Some(Token::Text(flag)) if is_control_flag(&flag) => {}
            _ => return Err(tokens.expected("'required' after the login module")),
        }
        let options = options(&mut tokens)?;
        if tokens.next()?.is_some() {
            return Err("there is more after the ';', and only one login module is used".to_owned());
        }
        Ok(Jaas { module, options })
    }

    /// The value of an option; the last one if it is given more than once, none if it is empty.
    pub(super) fn option(&self, name: &str) -> Option<&Secret> {
        let found = self.options.iter().rev().find(|(option, _)| option == name);
        found.map(|(_, value)| value).filter(|value| !value.expose().is_empty())
    }

    /// The options whose names begin like this, without the prefix, in the order given.
    pub(super) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Secret)> {
        let options = self.options.iter();
        options.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value)))
    }
}

impl LoginModule {
    /// By the last part of the class's name: some distributions move the classes to packages of their own.
    fn of_class(class: &str) -> Result<LoginModule, Fault> {
        match class.rsplit('.').next().unwrap_or(class) {
            "PlainLoginModule" => Ok(LoginModule::Plain),
            "ScramLoginModule" => Ok(LoginModule::Scram),
            "OAuthBearerLoginModule" => Ok(LoginModule::OauthBearer),
            "Krb5LoginModule" => Err("Krb5LoginModule: Kerberos (GSSAPI) is not supported".to_owned()),
            _ => Err("the login module must be PlainLoginModule, ScramLoginModule or OAuthBearerLoginModule"
                .to_owned()),
        }
    }
}

fn is_control_flag(word: &str) -> bool {
    ["required", "requisite", "sufficient", "optional"].iter().any(|flag| flag.eq_ignore_ascii_case(word))
}

/// `NAME = VALUE` until the `;`.
fn options(tokens: &mut Tokens<'_>) -> Result<Vec<(String, Secret)>, Fault> {
    let mut options = Vec::new();
    loop {
        let name = match tokens.next()? {
            Some(Token::Text(name)) => name,
            Some(Token::Semicolon) => return Ok(options),
            Some(Token::Equals) => return Err(tokens.expected("the name of an option, or ';'")),
            None => return Err("it does not end in ';'".to_owned()),
        };
        if !matches!(tokens.next()?, Some(Token::Equals)) {
            return Err(
                tokens.expected("'=' after the name of an option (is a value with spaces in quotes?)")
            );
        }
        match tokens.next()? {
            Some(Token::Text(value)) => options.push((name, Secret::from(value))),
            _ => return Err(tokens.expected("a value after '='")),
        }
    }
}

enum Token {
    /// A word, or text in quotes.
    Text(String),
    Equals,
    Semicolon,
}

struct Tokens<'a> {
    rest: &'a str,
    length: usize,
}

impl Tokens<'_> {
    fn expected(&self, what: &str) -> Fault {
        format!("expected {what}, before byte {}", self.length - self.rest.len())
    }

    fn next(&mut self) -> Result<Option<Token>, Fault> {
        self.skip_blanks()?;
        let mut chars = self.rest.chars();
        let Some(first) = chars.next() else { return Ok(None) };
        match first {
            '=' | ';' => {
                self.rest = chars.as_str();
                Ok(Some(if first == '=' { Token::Equals } else { Token::Semicolon }))
            }
            '"' | '\'' => {
                self.rest = chars.as_str();
                self.quoted(first).map(|text| Some(Token::Text(text)))
            }
            _ => self.word().map(|text| Some(Token::Text(text))),
        }
    }

    /// White space, `// ..` and `/* .. */`.
    fn skip_blanks(&mut self) -> Result<(), Fault> {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c <= ' ');
            if let Some(comment) = self.rest.strip_prefix("//") {
                self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").ok_or("a comment does not end")?.1;
            } else {
                return Ok(());
            }
        }
    }

    fn word(&mut self) -> Result<String, Fault> {
        let end = self.rest.find(|c: char| !is_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        if word.is_empty() {
            return Err(self.expected("a name or a value (one with special characters stands in quotes)"));
        }
        self.rest = rest;
        Ok(word.to_owned())
    }

    /// Until the closing quote, in the same line; escapes as in C, octal ones included.
    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let mut text = String::new();
        let mut chars = self.rest.chars();
        while let Some(c) = chars.next() {
            let c = match c {
                '\n' | '\r' => break,
                '\\' => match chars.next() {
                    Some(escaped) => unescape(escaped, &mut chars),
                    None => break,
                },
                c if c == quote => {
                    self.rest = chars.as_str();
                    return Ok(text);
                }
                c => c,
            };
            text.push(c);
        }
        Err(self.expected("a closing quote after what begins"))
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '$') || !c.is_ascii()
}

fn unescape(escaped: char, chars: &mut std::str::Chars<'_>) -> char {
    match escaped {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '0'..='7' => {
            let most = if escaped <= '3' { 3 } else { 2 };
            let mut code = escaped.to_digit(8).unwrap_or(0);
            for _ in 1..most {
                let Some(digit) = chars.clone().next().and_then(|c| c.to_digit(8)) else { break };
                chars.next();
                code = code * 8 + digit;
            }
            char::from_u32(code).unwrap_or(escaped)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required ";

    fn password(options: &str) -> Option<String> {
        let jaas = Jaas::parse(&format!("{PLAIN}{options}")).unwrap();
        jaas.option("password").map(|secret| secret.expose().clone())
    }

    #[test]
    fn values_are_read_as_java_reads_them() {
        for (options, expected) in [
            (r#"username="alice" password="a b";"#, Some("a b")),
            (r"username='alice' password='a b' ;", Some("a b")),
            ("password=abc-1_2$.x;", Some("abc-1_2$.x")),
            ("password=\"a;b=c\";", Some("a;b=c")),
            (r#"password="a\"b\\c\'d";"#, Some(r#"a"b\c'd"#)),
            (r#"password='a"b';"#, Some("a\"b")),
            (r#"password="\101\60\0601";"#, Some("A001")),
            (r#"password="\4770";"#, Some("'70")),
            (r#"password="tab\there";"#, Some("tab\there")),
            ("password=\"пароль😀\";", Some("пароль😀")),
            ("\n\tpassword = \"x\" // the end\n ;", Some("x")),
            ("/* first */ password=\"x\" /* last */;", Some("x")),
            ("password=\"one\" password=\"two\";", Some("two")),
            ("password=\"\";", None),
            ("username=\"alice\";", None),
        ] {
            assert_eq!(password(options).as_deref(), expected, "{options}");
        }
    }

    #[test]
    fn modules_are_known_by_class() {
        for (class, module) in [
            ("org.apache.kafka.common.security.scram.ScramLoginModule", LoginModule::Scram),
            ("kafkashaded.org.apache.kafka.common.security.plain.PlainLoginModule", LoginModule::Plain),
            ("org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule", LoginModule::OauthBearer),
        ] {
            assert_eq!(Jaas::parse(&format!("{class} REQUIRED;")).unwrap().module, module);
        }
        let kerberos = Jaas::parse("com.sun.security.auth.module.Krb5LoginModule required;").unwrap_err();
        assert!(kerberos.contains("Kerberos (GSSAPI) is not supported"), "{kerberos}");
    }

    #[test]
    fn faults_say_where_and_never_what() {
        for text in [
            "",
            "marker",
            "marker required;",
            "PlainLoginModule marker;",
            "PlainLoginModule required password=\"marker\"",
            "PlainLoginModule required password=\"marker;",
            "PlainLoginModule required password=marker@x;",
            "PlainLoginModule required password marker;",
            "PlainLoginModule required password=marker marker;",
            "PlainLoginModule required =marker;",
            "PlainLoginModule required password=;",
            "PlainLoginModule required password=\"marker\"; marker",
            "PlainLoginModule required /* marker",
            "PlainLoginModule required password=\"marker\n\";",
            "PlainLoginModule required password=\"marker\\",
        ] {
            let fault = Jaas::parse(text).unwrap_err();
            assert!(!fault.contains("marker") && !fault.is_empty(), "{text}: {fault}");
        }
        let debug = format!("{:?}", Jaas::parse(&format!("{PLAIN}password=\"marker\";")).unwrap());
        assert!(!debug.contains("marker"), "{debug}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[\"'\\\\=;/* \n]){0,60}") {
            let _ = Jaas::parse(&text);
            let _ = Jaas::parse(&format!("PlainLoginModule required {text}"));
        }

        #[test]
        fn what_is_quoted_comes_back(value in "[^\n\r]{1,30}") {
            let quoted = value.replace('\\', r"\\").replace('"', "\\\"");
            prop_assert_eq!(password(&format!("password=\"{quoted}\";")), Some(value));
        }
    }
}
