//! Bundles in another order, and what orders give.

use common::{picture, sound};
use tamis::pipeline::media::{WavDepth, encode_png, encode_wav};

use super::{code, common, frame, good, json, tamis, words};

#[test]
fn a_bundle_in_another_order_is_another_codec_of_the_same_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::create_dir(dir.join("in")).unwrap();
    for i in 0..3 {
        let png = encode_png(&picture(90, 120, i)).unwrap();
        std::fs::write(dir.join(format!("in/{i}.png")), png).unwrap();
    }
    let shown = json(&tamis(dir, &["order", "rgb", "--json"]));
    assert_eq!(shown[0]["channels"], 48);
    assert_eq!(shown[0]["orders"]["natural"]["order"][5], 5);
    let core = shown[0]["orders"]["saliency"]["core"].as_u64().unwrap();
    assert!((6..=24).contains(&core), "{core}");

    let plain = tamis(dir, &["order", "rgb", "--by", "random", "-o", "mixed", "--json"]);
    good(&plain);
    assert!(words(&plain).contains("--refit"), "{}", words(&plain));
    let refit = ["order", "rgb", "--by", "random", "-o", "fitted", "--json", "--refit", "in"];
    let fitted = tamis(dir, &refit);
    good(&fitted);
    let (plain, fitted) = (&json(&plain)[0]["output"], &json(&fitted)[0]["output"]);
    assert_ne!(plain["codec"], shown[0]["codec"]);
    assert_eq!(plain["codec"], fitted["codec"]);
    assert_ne!(plain["tables"], fitted["tables"]);

    let mut sizes = Vec::new();
    for codec in ["rgb", "./mixed", "./fitted"] {
        good(&tamis(dir, &["encode", "in/0.png", "-o", "x.tamis", "--codec", codec]));
        good(&tamis(dir, &["decode", "x.tamis", "-o", "all.png", "--codec", codec, "--preview"]));
        good(&tamis(
            dir,
            &["decode", "x.tamis", "-o", "two.png", "--codec", codec, "--groups", "2", "--preview"],
        ));
        sizes.push(std::fs::metadata(dir.join("x.tamis")).unwrap().len());
        let all = frame(&dir.join("all.png"));
        if codec == "rgb" {
            std::fs::rename(dir.join("all.png"), dir.join("rgb.png")).unwrap();
            std::fs::rename(dir.join("two.png"), dir.join("rgb2.png")).unwrap();
        } else {
            assert!(all == frame(&dir.join("rgb.png")), "{codec}");
            assert!(frame(&dir.join("two.png")) != frame(&dir.join("rgb2.png")), "{codec}");
        }
    }
    assert!(sizes[2] < sizes[1], "fitted tables save bits: {sizes:?}");
    // A stream of one is none of the other.
    assert_eq!(code(&tamis(dir, &["decode", "x.tamis", "-o", "y.png", "--codec", "rgb"])), 65);
    // The order is in the file.
    let again = json(&tamis(dir, &["order", "./mixed", "--json"]));
    let order: Vec<u64> =
        serde_json::from_value(shown[0]["orders"]["random"]["order"].clone()).unwrap();
    for name in ["variance", "relevance", "strength"] {
        let old: Vec<f64> =
            serde_json::from_value(shown[0]["orders"][name]["scores"].clone()).unwrap();
        let new: Vec<f64> =
            serde_json::from_value(again[0]["orders"][name]["scores"].clone()).unwrap();
        for (k, &c) in order.iter().enumerate() {
            assert!((new[k] / old[c as usize] - 1.0).abs() < 1e-9, "{name} {k}");
        }
    }
}

#[test]
fn what_cannot_be_ordered_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::create_dir(dir.join("none")).unwrap();
    std::fs::write(dir.join("p.png"), encode_png(&picture(9, 9, 1)).unwrap()).unwrap();
    good(&tamis(dir, &["order", "mono", "-o", "mine"]));
    let cases: [(i32, &[&str]); 7] = [
        (65, &["order", "no-such"]),
        (2, &["order", "rgb", "--by", "taste"]),
        (2, &["order", "rgb", "--refit", "p.png"]),
        (2, &["order", "./mine", "-o", "mine"]),
        (65, &["order", "mono", "-o", "x", "--refit", "p.png"]),
        (2, &["eval", "p.png", "--orders", "--codec", "rgb,mono"]),
        (2, &["eval", "p.png", "--orders", "--quality", "50,75"]),
    ];
    for (expected, args) in cases {
        let output = tamis(dir, args);
        assert_eq!(code(&output), expected, "{args:?}: {}", words(&output));
        assert!(!words(&output).is_empty());
    }
    assert!(!dir.join("x").exists());
    // Not even where it was found by name.
    std::fs::create_dir(dir.join("models")).unwrap();
    good(&tamis(dir, &["order", "rgb", "--by", "random", "-o", "models/rgb"]));
    assert_eq!(code(&tamis(dir, &["order", "rgb", "-o", "models/rgb"])), 2);
    // A sound among pictures is named, the rest is measured.
    let wav = encode_wav(&sound(3000, 1, 8000, 1), WavDepth::I16).unwrap();
    std::fs::write(dir.join("s.wav"), wav).unwrap();
    let mixed = tamis(dir, &["eval", "p.png", "s.wav", "--orders", "--json"]);
    assert_eq!(code(&mixed), 3, "{}", words(&mixed));
    let lines = json(&mixed);
    assert!(lines[0]["error"].is_string() && lines[0]["path"] == "s.wav", "{:?}", lines[0]);
    assert_eq!(lines[1]["mean_of"], 1);
}

#[test]
fn orders_are_compared_as_eval_measures() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::create_dir(dir.join("in")).unwrap();
    for i in 0..2 {
        let png = encode_png(&picture(64, 80, i)).unwrap();
        std::fs::write(dir.join(format!("in/{i}.png")), png).unwrap();
    }
    let lines = json(&tamis(dir, &["eval", "in", "--orders", "--json", "-o", "o.svg"]));
    let names: Vec<&str> = lines.iter().map(|l| l["order"].as_str().unwrap()).collect();
    assert_eq!((names[0], names[names.len() - 1]), ("natural", "ablation"));
    let points = |name: &str| -> Vec<(u64, f64, f64)> {
        let line = lines.iter().find(|l| l["order"] == name).unwrap();
        let points = line["points"].as_array().unwrap().iter();
        points
            .map(|p| {
                let number = |what: &str| p[what].as_f64().unwrap();
                (p["channels"].as_u64().unwrap(), number("bpp"), number("psnr_db"))
            })
            .collect()
    };
    let natural = points("natural");
    for channels in ["12", "48"] {
        let args = ["eval", "in", "--quality", "75", "--channels", channels, "--preview", "--json"];
        let mean = json(&tamis(dir, &args)).pop().unwrap();
        let at = natural.iter().find(|p| p.0.to_string() == channels).unwrap();
        assert!((mean["psnr_db"].as_f64().unwrap() - at.2).abs() < 1e-9, "{channels}");
    }
    // Whatever the order, all channels are all channels, and more cost more.
    for name in &names {
        let these = points(name);
        let (last, all) = (these[these.len() - 1], natural[natural.len() - 1]);
        assert!((last.1 - all.1).abs() < 1e-9 && (last.2 - all.2).abs() < 1e-9, "{name}");
        assert!(these.windows(2).all(|w| w[0].1 <= w[1].1), "{name}");
    }
    let gain = |name: &str, what: &str| {
        lines.iter().find(|l| l["order"] == name).unwrap()[what].as_f64().unwrap()
    };
    assert_eq!(gain("natural", "gain_at_bits_db"), 0.0);
    assert_eq!(gain("ablation", "spearman"), 1.0);
    assert!(gain("random", "gain_at_channels_db") < -1.0);
    let svg = std::fs::read_to_string(dir.join("o.svg")).unwrap();
    assert_eq!(svg.matches("channels kept").count(), 1);
    assert_eq!(svg.matches("bits per pixel").count(), 1);
    assert_eq!(svg.matches("relevance").count(), 1);
    let table = tamis(dir, &["eval", "in", "--orders"]);
    good(&table);
    assert!(String::from_utf8(table.stdout).unwrap().contains("Spearman"));
}

#[cfg(feature = "onnx")]
#[test]
fn orders_are_judged_by_a_head_too() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (label, seed) in [("glass", 1), ("paper", 2), ("no-such-thing", 3)] {
        std::fs::create_dir(dir.join(label)).unwrap();
        let png = encode_png(&picture(96, 128, seed)).unwrap();
        std::fs::write(dir.join(label).join("a.png"), png).unwrap();
    }
    let args = ["eval", "glass", "paper", "no-such-thing", "--orders", "--head", "waste"];
    let out = tamis(dir, &[&args[..], &["--codec", "rgb", "--json", "-o", "x.svg"]].concat());
    assert_eq!(code(&out), 3, "{}", words(&out));
    assert!(words(&out).contains("is a label of waste: cardboard"), "{}", words(&out));
    let lines = json(&out);
    let orders: Vec<&serde_json::Value> = lines.iter().filter(|l| l["order"].is_string()).collect();
    assert!(orders.iter().any(|o| o["order"] == "task"));
    let right = |o: &serde_json::Value| {
        let points = o["points"].as_array().unwrap();
        points.iter().map(|p| p["right_percent"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    // All channels are all channels, in whatever order; and two files give halves.
    let whole = *right(orders[0]).last().unwrap();
    for order in &orders {
        assert_eq!(*right(order).last().unwrap(), whole, "{order}");
        assert!(order["draws"] != 1 || right(order).iter().all(|r| r % 50.0 == 0.0), "{order}");
    }
    assert_eq!(std::fs::read_to_string(dir.join("x.svg")).unwrap().matches("% right").count(), 2);
    let args = ["eval", "glass", "--head", "waste"];
    assert_eq!(code(&tamis(dir, &args)), 2);
}
