//! The templates of all providers, compiled and checked together. A set is in force as a whole or not at all.

use std::collections::BTreeMap;
use std::fmt;

use acteon_core::Action;
use minijinja::{Environment, UndefinedBehavior, Value};

use crate::bounded::too_complex;
use crate::environment::{Undefined, environment};
use crate::error::{TemplateFault, depends_on_values};
use crate::fields::{FieldTemplate, Rendered, rendered};
use crate::layout::{Format, Place, TemplateOwner};
use crate::tree::unknown;
use crate::values::{NAMES, action_values, example_action};

/// A file with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFile {
    /// Its path below the folder of templates, with `/` between folders.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The templates of all providers.
#[derive(Default)]
pub struct TemplateSet {
    /// `None`: there are no templates.
    environment: Option<Environment<'static>>,
    fields: BTreeMap<TemplateOwner, Vec<FieldTemplate>>,
    files: Vec<TemplateFile>,
    examples: BTreeMap<TemplateOwner, String>,
}

impl fmt::Debug for TemplateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owners = self.fields.keys();
        f.debug_set().entries(owners).finish()
    }
}

impl PartialEq for TemplateSet {
    /// Sets of the same files are equal.
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl TemplateSet {
    /// Compiles the files and renders each for its example. A folder without `example.json` has an example without
    /// payload; what fails only because of that is not reported. `is_provider` knows the providers.
    ///
    /// # Errors
    /// The mistakes of all files.
    pub fn compile(
        files: &[TemplateFile],
        is_provider: impl Fn(&str) -> bool,
    ) -> Result<Self, Vec<TemplateFault>> {
        if files.is_empty() {
            return Ok(Self::default());
        }
        let mut faults = Vec::new();
        let mut set = Self {
            files: files.to_vec(),
            ..Self::default()
        };
        let mut environment = environment(Undefined::Refused);
        for file in files {
            faults.extend(set.take(file, &mut environment, &is_provider).err());
        }
        set.environment = Some(environment);
        faults.extend(set.mistakes());
        match faults.is_empty() {
            true => Ok(set),
            false => Err(faults),
        }
    }

    /// The payload of `action` by the templates of `provider`. `None`: it has none for this action.
    pub fn render(&self, provider: &str, action: &Action) -> Option<Rendered> {
        let fields = self.fields_for(provider, &action.action_type);
        let environment = self.environment.as_ref()?;
        (!fields.is_empty()).then(|| rendered(environment, &fields, action))
    }

    /// True if no provider has templates.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// True if `provider` has templates.
    pub fn has(&self, provider: &str) -> bool {
        self.fields.keys().any(|owner| owner.provider == provider)
    }

    /// The example for actions of this type, or else of every type.
    ///
    /// # Errors
    /// What is wrong with it. It was checked when the set was compiled.
    pub fn example(
        &self,
        provider: &str,
        action_type: Option<&str>,
    ) -> Option<Result<Action, String>> {
        let owner = |action_type: Option<&str>| TemplateOwner {
            provider: provider.to_owned(),
            action_type: action_type.map(str::to_owned),
        };
        let own = self.examples.get(&owner(action_type));
        let json = own.or_else(|| self.examples.get(&owner(None)))?;
        Some(example_action(provider, action_type, Some(json)))
    }

    /// The templates that apply: those of the type, and those of every type for other fields.
    fn fields_for(&self, provider: &str, action_type: &str) -> Vec<&FieldTemplate> {
        let of = |action_type: Option<&str>| {
            let owner = TemplateOwner {
                provider: provider.to_owned(),
                action_type: action_type.map(str::to_owned),
            };
            self.fields.get(&owner).into_iter().flatten()
        };
        let mut fields: Vec<_> = of(Some(action_type)).collect();
        for field in of(None) {
            if !fields.iter().any(|own| own.field == field.field) {
                fields.push(field);
            }
        }
        fields
    }

    fn take(
        &mut self,
        file: &TemplateFile,
        environment: &mut Environment<'static>,
        is_provider: impl Fn(&str) -> bool,
    ) -> Result<(), TemplateFault> {
        let name = file.name.as_str();
        let wrong = |message: &str| TemplateFault::new(name, message);
        let place = Place::of(name).map_err(wrong)?;
        if let Place::Example(owner) | Place::Field { owner, .. } = &place
            && !is_provider(&owner.provider)
        {
            let message = format!("there is no provider `{}`", owner.provider);
            return Err(wrong(&message));
        }
        let (owner, field, format) = match place {
            Place::Example(owner) => {
                let example = example_action(
                    &owner.provider,
                    owner.action_type.as_deref(),
                    Some(&file.text),
                );
                example.map_err(|message| wrong(&message))?;
                self.examples.insert(owner, file.text.clone());
                return Ok(());
            }
            Place::Shared => return add(environment, file),
            Place::Field {
                owner,
                field,
                format,
            } => (owner, field, format),
        };
        add(environment, file)?;
        let fields = self.fields.entry(owner).or_default();
        if let Some(other) = fields.iter().find(|other| other.field == field) {
            let message = format!("`{}` is a template of the same field", other.name);
            return Err(wrong(&message));
        }
        fields.push(FieldTemplate {
            field,
            format,
            name: name.to_owned(),
            is_one_line: !file.text.trim_end().contains('\n'),
        });
        Ok(())
    }

    /// What is wrong with the templates that compiled.
    fn mistakes(&self) -> Vec<TemplateFault> {
        let Some(strict) = &self.environment else {
            return Vec::new();
        };
        let mut lenient = strict.clone();
        lenient.set_undefined_behavior(UndefinedBehavior::Chainable);
        let mut found = Vec::new();
        for (owner, fields) in &self.fields {
            let action_type = owner.action_type.as_deref();
            let names = fields
                .iter()
                .filter_map(|field| unknown_value(strict, field));
            found.extend(names);
            match self.example(&owner.provider, action_type) {
                Some(Ok(example)) => {
                    let fields: Vec<_> = fields.iter().collect();
                    found.extend(rendered(strict, &fields, &example).faults);
                }
                Some(Err(_)) => {}
                None => {
                    let example = example_action(&owner.provider, action_type, None);
                    let wrong = example
                        .ok()
                        .map(|example| impossible(&lenient, fields, &example));
                    found.extend(wrong.into_iter().flatten());
                }
            }
        }
        found.dedup();
        found
    }
}

/// Compiles a file.
fn add(environment: &mut Environment<'static>, file: &TemplateFile) -> Result<(), TemplateFault> {
    if let Some(message) = too_complex(&file.text) {
        return Err(TemplateFault::new(&file.name, &message));
    }
    environment
        .add_template_owned(file.name.clone(), file.text.clone())
        .map_err(|error| TemplateFault::of(&file.name, &error))
}

fn unknown_value(environment: &Environment<'_>, field: &FieldTemplate) -> Option<TemplateFault> {
    let template = environment.get_template(&field.name).ok()?;
    let named = template.undeclared_variables(false);
    let name = unknown(environment, named, &NAMES).into_iter().next()?;
    let before = template.source().split(name.as_str()).next()?;
    Some(TemplateFault {
        template: field.name.clone(),
        line: before.matches('\n').count() + 1,
        message: format!("there is no value `{name}`; known: {}", NAMES.join(", ")),
    })
}

/// What cannot work for any action.
fn impossible(
    lenient: &Environment<'_>,
    fields: &[FieldTemplate],
    example: &Action,
) -> Vec<TemplateFault> {
    let values = Value::from(action_values(example));
    let failed = fields.iter().filter_map(|field| {
        let template = lenient.get_template(&field.name).ok()?;
        let error = template.render(values.clone()).err()?;
        (!depends_on_values(error.kind())).then(|| TemplateFault::of(&field.name, &error))
    });
    failed.collect()
}

impl Format {
    /// True if its output is a string of the payload.
    pub(crate) fn is_text(self) -> bool {
        self != Self::Json
    }
}
