//! A sample of logic: a plugin that is constructed, configured, opened, asked, closed and destroyed, and says so.
//!
//! `sample.cpp` beside it is the same in C++, hence the interface: bytes in and bytes out.
//!
//! Each version has a plugin of its own, in a static of its own. It holds no data that must last: what it was told and how
//! often it was asked is in the state, which the host keeps. So a version that takes over goes on with both.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use liveswap_logic::{Context, Logic, OptionValue, Options, output};
use liveswap_state::{BytesLogic, State};

/// What outlives each version.
#[derive(State)]
struct Told {
    config: BTreeMap<String, String>,
    inferences: u64,
}

struct SamplePlugin {
    is_open: bool,
}

/// Made in `prepare` and gone after `unload`, so that it's there whenever a method or a hook is called.
static PLUGIN: Mutex<Option<SamplePlugin>> = Mutex::new(None);

fn plugin() -> MutexGuard<'static, Option<SamplePlugin>> {
    // It's whole after each change, so a panic has left nothing half done.
    PLUGIN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SamplePlugin {
    fn construct(context: &Context) -> Self {
        output!(context, "SamplePlugin constructed");
        Self { is_open: false }
    }

    fn open(&mut self, context: &Context) {
        self.is_open = true;
        output!(context, "SamplePlugin opened");
    }

    fn reopen(&mut self, context: &Context) {
        self.is_open = true;
        output!(context, "SamplePlugin reopened after reload");
    }

    fn close(&mut self, context: &Context) {
        if std::mem::take(&mut self.is_open) {
            output!(context, "SamplePlugin closed");
        }
    }

    fn destroy(self, context: &Context) {
        output!(context, "SamplePlugin destroyed");
    }
}

struct Sample;

impl Logic for Sample {
    type State = Told;

    fn create(_: &Context) -> Told {
        Told { config: BTreeMap::new(), inferences: 0 }
    }

    fn prepare(context: &Context) -> Result<(), String> {
        *plugin() = Some(SamplePlugin::construct(context));
        Ok(())
    }

    fn configure(told: &mut Told, options: &Options, context: &Context) -> Result<(), String> {
        for (key, value) in options.iter() {
            let value = match value {
                OptionValue::Text(text) => text.clone(),
                other => other.to_string(),
            };
            output!(context, "Set config: {key} = {value}");
            told.config.insert(key.to_owned(), value);
        }
        Ok(())
    }

    fn start(_: &mut Told, context: &Context) -> Result<(), String> {
        plugin().iter_mut().for_each(|plugin| plugin.open(context));
        Ok(())
    }

    fn took_over(context: &Context) {
        plugin().iter_mut().for_each(|plugin| plugin.reopen(context));
    }

    // After its last call, and when nothing of it runs any more: a version that is replaced, and the last one.
    fn teardown(context: &Context) {
        plugin().iter_mut().for_each(|plugin| plugin.close(context));
    }

    fn unload(context: &Context) {
        plugin().take().into_iter().for_each(|plugin| plugin.destroy(context));
    }
}

impl BytesLogic for Sample {
    fn call(told: &mut Told, context: &Context, method: &str, input: &[u8]) -> Result<Vec<u8>, String> {
        if method != "inference" {
            return Err(format!("found method `{method}`, expected `inference`"));
        }
        told.inferences += 1;
        output!(context, "inference: {} done.", String::from_utf8_lossy(input));
        Ok(format!("done by {}", context.version()).into_bytes())
    }

    fn ask(told: &Told, _: &Context, method: &str, input: &[u8]) -> Result<Vec<u8>, String> {
        match method {
            "inferences" => Ok(told.inferences.to_string().into_bytes()),
            "config" => {
                let value = told.config.get(&*String::from_utf8_lossy(input));
                Ok(value.cloned().unwrap_or_default().into_bytes())
            }
            other => Err(format!("found method `{other}`, expected `inferences` or `config`")),
        }
    }
}

liveswap_logic::export! {
    module: "logic",
    version: "1",
    logic: Sample as BytesLogic,
}
