/* template - the part of Go's templates that labels and annotations of alerts use.
 *
 *   {{ $labels.instance }} has {{ $value | humanize1024 }}B, {{ printf "%.2f" $value }}
 *
 * $labels, $value, $externalLabels, $externalURL (and .Labels, .Value, ...); strings and numbers;
 * pipelines; printf, humanize, humanize1024, humanizeDuration, humanizePercentage,
 * humanizeTimestamp, title, toUpper, toLower, index, reReplaceAll, match; {{- -}} and comments.
 * What looks into the store or branches (query, range, if, with) is refused by name. */
#pragma once
#include "base/buf.h"
#include "labels/labels.h"

struct rule_values {
    struct labels labels, external;
    struct str external_url;
    double value;
};

int rule_template(struct str text, const struct rule_values *v, struct buf *out,
                  struct err *e) MUST_USE;
