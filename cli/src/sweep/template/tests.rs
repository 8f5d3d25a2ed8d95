//! Tests of templates.

use std::path::Path;

use super::*;

fn columns() -> Vec<String> {
    ["alpha", "beta", "max-iter"].map(str::to_owned).to_vec()
}

fn rendered(source: &str, values: &[&[u8]]) -> Result<String, String> {
    let columns = columns();
    let values: Vec<Bytes> = values.iter().map(|value| Bytes::from(*value)).collect();
    let (dir, here) = (Path::new("d"), Path::new("h"));
    let fill = Fill {
        columns: &columns,
        values: &values,
        task: 11,
        dir,
        here,
        output: None,
    };
    let template = Template::parse(source, "deck.j2", &columns).map_err(|failed| failed.text())?;
    let text = template.render(&fill).map_err(|failed| failed.text())?;
    Ok(String::from_utf8(text).unwrap())
}

#[test]
fn a_value_is_printed_as_the_table_has_it() {
    for text in [
        "0.1",
        "0.10",
        "1e-5",
        "1E5",
        "-0",
        "-0.0",
        "007",
        "+5",
        "1.",
        ".5",
        "1e400",
        "nan",
        "inf",
        "0x1f",
        "",
        " 1 ",
        "12345678901234567890123456789012345678901234567890",
        "<&\"'>",
        "{{ beta }}",
        "{%",
        "true",
        "none",
        "a\nb\n",
        "9007199254740993.0",
    ] {
        assert_eq!(
            rendered("{{ alpha }}", &[text.as_bytes(), b"2", b"3"]).as_deref(),
            Ok(text)
        );
        assert_eq!(
            rendered("{{ text.alpha ~ '' }}", &[text.as_bytes(), b"2", b"3"]).as_deref(),
            Ok(text)
        );
    }
}

#[test]
fn values_that_are_written_as_numbers_are_numbers() {
    for (source, is) in [
        ("{{ alpha * 2 }}", "1.0"),
        ("{{ beta + 1 }}", "18"),
        ("{% if beta > 3 %}big{% else %}small{% endif %}", "big"),
        (
            "{% for i in range(2) %}{{ i }}{{ alpha }}{% endfor %}",
            "00.5010.50",
        ),
        (
            "{% for i in [1, 2] %}{{ loop.index }}{% endfor %}{% set y = beta %}{{ y }}",
            "1217",
        ),
        ("{{ task }} {{ number }} {{ number + 1 }}\n", "0000011 12 13\n"),
        ("{{ text['max-iter'] }} {{ text.beta ~ 'x' }}", "1e3 17x"),
        ("a = {{ alpha }}; b = {{ beta }}\n\n", "a = 0.50; b = 17\n\n"),
    ] {
        assert_eq!(
            rendered(source, &[b"0.50", b"17", b"1e3"]).as_deref(),
            Ok(is),
            "{source}"
        );
    }
}

#[test]
fn what_is_wrong_is_said_with_line_and_column() {
    let texts: Vec<String> = [
        "x = {{ alpha }\ny",
        "ok\n  {% if alpha %}\n",
        "ok\n  {{ alhpa }}",
        "{% if beta == 18 %}\n{{ gamma }}{% endif %}",
        "{{ beta / 'x' }}",
        "\n {{ text.gamma }}",
        "{% include 'other' %}",
        "{{ alpha | nofilter }}",
    ]
    .iter()
    .map(|source| rendered(source, &[b"1", b"2", b"3"]).unwrap_err())
    .collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn a_value_that_is_no_utf_8_is_refused_where_it_is_used() {
    let values: [&[u8]; 3] = [b"a\xffb", b"2", b"3"];
    assert_eq!(rendered("{{ beta }}", &values).as_deref(), Ok("2"));
    let text = rendered("\n{{ alpha }}", &values).unwrap_err();
    assert!(
        text.contains("deck.j2 line 2") && text.contains("the value of alpha, `a\u{fffd}b`, is no UTF-8"),
        "{text}"
    );
}

#[test]
fn columns_that_are_used_are_known() {
    let used = |source: &str| {
        let mut used: Vec<usize> = Template::parse(source, "t", &columns())
            .unwrap()
            .columns()
            .collect();
        used.sort_unstable();
        used
    };
    assert_eq!(used("{% if beta %}{% endif %}"), [1]);
    assert_eq!(used("{{ text['max-iter'] }}"), [0, 1, 2]);
    assert_eq!(used("{alpha}"), [0_usize; 0]);
}
