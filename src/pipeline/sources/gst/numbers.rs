//! Properties that are numbers, switches or choices: what they take, looked at before they are set.
//!
//! GStreamer brings numbers into range without a word, and its bindings panic.

use gstreamer::glib;
use gstreamer::prelude::*;

/// What a text means to a property; `Some(None)` if it does not take it, `None` if it is no number, switch or choice.
pub(super) fn read(spec: &glib::ParamSpec, text: &str) -> Option<Option<glib::Value>> {
    macro_rules! number {
        ($spec:ty, $number:ty) => {
            if let Some(spec) = spec.downcast_ref::<$spec>() {
                let good = |n: &$number| (spec.minimum()..=spec.maximum()).contains(n);
                return Some(text.parse().ok().filter(good).map(|n| n.to_value()));
            }
        };
    }
    number!(glib::ParamSpecInt, i32);
    number!(glib::ParamSpecUInt, u32);
    number!(glib::ParamSpecInt64, i64);
    number!(glib::ParamSpecUInt64, u64);
    number!(glib::ParamSpecFloat, f32);
    number!(glib::ParamSpecDouble, f64);
    let kind = spec.value_type();
    if let Some(class) = glib::EnumClass::with_type(kind) {
        let number = || class.to_value(text.parse().ok()?);
        return Some(class.to_value_by_nick(text).or_else(number));
    }
    if let Some(class) = glib::FlagsClass::with_type(kind) {
        return Some(text.split('+').fold(class.builder(), |all, t| all.set_by_nick(t)).build());
    }
    match kind {
        glib::Type::BOOL => Some(match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "t" | "1" => Some(true.to_value()),
            "false" | "no" | "f" | "0" => Some(false.to_value()),
            _ => None,
        }),
        _ => None,
    }
}

/// What a property takes, in words.
pub(super) fn needed(spec: &glib::ParamSpec) -> String {
    macro_rules! range {
        ($spec:ty) => {
            if let Some(spec) = spec.downcast_ref::<$spec>() {
                return format!("{} to {}", spec.minimum(), spec.maximum());
            }
        };
    }
    range!(glib::ParamSpecInt);
    range!(glib::ParamSpecUInt);
    range!(glib::ParamSpecInt64);
    range!(glib::ParamSpecUInt64);
    range!(glib::ParamSpecFloat);
    range!(glib::ParamSpecDouble);
    let kind = spec.value_type();
    let nicks: Vec<String> = if let Some(class) = glib::EnumClass::with_type(kind) {
        class.values().iter().map(|v| v.nick().into()).collect()
    } else if let Some(class) = glib::FlagsClass::with_type(kind) {
        class.values().iter().map(|v| v.nick().into()).collect()
    } else if kind == glib::Type::BOOL {
        return "true or false".into();
    } else {
        return format!("a {kind}");
    };
    format!("one of {}", nicks.join(", "))
}
