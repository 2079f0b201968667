//! The one measure: a ratio on a logarithmic scale from 0.1 to 30 times, with a tick at the rule. The
//! dashboard draws the same scale, so it is learnt once.

/// Where the scale begins and ends.
const ENDS: (f64, f64) = (0.1, 30.0);
/// Characters between the brackets of the text form.
const WIDTH: usize = 56;

/// How far along the scale a ratio lies, 0 to 1. What is off the scale, or no number, sits at its end.
pub(crate) fn position(ratio: f64) -> f64 {
    let along = (ratio / ENDS.0).ln() / (ENDS.1 / ENDS.0).ln();
    if along.is_nan() { 0.0 } else { along.clamp(0.0, 1.0) }
}

/// The scale as text, three lines: the bar, the ticks under it, their labels.
///
/// ```text
/// [#####################|################################......]
///  0.1x                 1x         3x rule                30x
/// ```
pub(crate) fn text(ratio: f64, rule: f64) -> String {
    let filled = column(ratio);
    let bar: String = (0..WIDTH)
        .map(|at| match at {
            _ if at == column(rule) => '|',
            _ if at <= filled => '#',
            _ => '.',
        })
        .collect();
    let mut labels = [' '; WIDTH + 4];
    let mut write = |at: usize, label: &str| {
        let free = labels.get(at.saturating_sub(1)..at + label.len() + 1);
        if free.is_some_and(|free| free.iter().all(|character| *character == ' ')) {
            labels[at..at + label.len()].iter_mut().zip(label.chars()).for_each(|(to, from)| *to = from);
        }
    };
    // The rule first: a label that would run into another is left out.
    write(column(rule).min(WIDTH - 8), &format!("{rule}x rule"));
    write(0, "0.1x");
    write(column(1.0), "1x");
    write(WIDTH - 2, "30x");
    let labels: String = labels.iter().collect();
    format!("[{bar}]\n {}", labels.trim_end())
}

fn column(ratio: f64) -> usize {
    (position(ratio) * (WIDTH - 1) as f64).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_and_the_middle_are_where_they_belong() {
        assert_eq!(position(0.1), 0.0);
        assert_eq!(position(30.0), 1.0);
        assert_eq!(position(1_000.0), 1.0);
        assert_eq!(position(3_f64.sqrt()), 0.5);
        for odd in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0] {
            assert_eq!(position(odd), 0.0);
        }
        assert_eq!(position(f64::INFINITY), 1.0);
    }

    #[test]
    fn the_text_shows_the_value_against_the_rule() {
        let drawn = text(18.7, 3.0);
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(lines[0], "[#################################|#################.....]");
        assert_eq!(lines[1], " 0.1x                  1x         3x rule              30x");
    }

    proptest! {
        #[test]
        fn more_is_never_drawn_as_less(a in 0.0_f64..100.0, b in 0.0_f64..100.0, rule in 1.001_f64..1_000.0) {
            let filled = |ratio| text(ratio, rule).chars().filter(|c| *c == '#').count();
            let (less, more) = if a < b { (a, b) } else { (b, a) };
            prop_assert!(filled(less) <= filled(more));
        }

        #[test]
        fn any_ratio_fits_a_line(ratio: f64, rule in 1.0_f64..1_000.0) {
            for line in text(ratio, rule).lines() {
                prop_assert!(line.len() <= 64, "{line}");
            }
        }
    }
}
