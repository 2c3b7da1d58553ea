//! Where the value of each setting came from, kept with the configuration: for messages about values whose mistake only
//! shows when the machine is looked at, and for showing them as they were given.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::error::{Problem, SettingsError, Source};
use crate::setting::find;
use crate::value::Value;

/// Where the value of each setting came from, and what it was there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origins(Arc<BTreeMap<&'static str, Origin>>);

/// The same of one setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Origin {
    pub(crate) source: Source,
    /// The setting as the operator knows it there: a flag, a variable, a name in the conf file.
    pub(crate) label: &'static str,
    /// The value in his words, checked but not yet in the type of its field.
    pub(crate) words: Value,
}

impl Origins {
    pub(crate) fn new(given: BTreeMap<&'static str, Origin>) -> Self {
        Self(Arc::new(given))
    }

    /// The source of a setting's value.
    pub fn of(&self, name: &str) -> Source {
        let source = self.0.get(name).map(|origin| origin.source.clone());
        source.unwrap_or_default()
    }

    /// The place where a setting got its value, in a few words.
    pub(crate) fn place(&self, name: &str) -> String {
        let Some(origin) = self.0.get(name) else {
            return "default".to_owned();
        };
        match &origin.source {
            Source::Default => "default".to_owned(),
            Source::Environment => format!("{} in the environment", origin.label),
            Source::ConfFile(None) => "conf file".to_owned(),
            Source::ConfFile(Some(file)) => file.clone(),
            Source::Arguments(variable) => variable.clone(),
            Source::CommandLine => "command line".to_owned(),
            Source::WorkerClass(class) => format!("{class}.CONFIG_KWARGS"),
        }
    }

    /// Whether anybody gave the setting a value, be it the default's.
    pub fn is_given(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What the setting is called in the source of its value.
    pub(crate) fn label(&self, name: &str) -> Option<&'static str> {
        self.0.get(name).map(|origin| origin.label)
    }

    /// The value in its source's own words.
    pub(crate) fn words(&self, name: &str) -> Option<&Value> {
        self.0.get(name).map(|origin| &origin.words)
    }
}

impl Config {
    /// The mistake that the value of a setting, valid as it is, cannot be used on this machine: `reason` says why.
    pub fn unusable(&self, name: &str, reason: impl Into<String>) -> SettingsError {
        let origin = self.origins.0.get(name);
        let value = match origin {
            Some(origin) => origin.words.clone(),
            None => self.value(name).unwrap_or(Value::None),
        };
        let label = origin.map(|origin| origin.label);
        SettingsError {
            setting: label
                .or(find(name).map(|setting| setting.name))
                .unwrap_or_default()
                .to_owned(),
            problem: Box::new(Problem::Unusable {
                value,
                reason: reason.into(),
            }),
            source_of_value: self.origins.of(name),
            hint: None,
        }
    }
}
