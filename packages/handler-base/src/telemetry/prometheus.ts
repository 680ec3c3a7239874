// The text format of Prometheus, version 0.0.4.
import type { MetricFamily } from "./registry.ts";

/** All families, one after the other. Never throws. */
export function prometheusText(families: readonly MetricFamily[]): string {
  const lines: string[] = [];
  for (const family of families) {
    lines.push(`# HELP ${family.name} ${family.help}`, `# TYPE ${family.name} ${family.kind}`);
    if (family.kind === "histogram") {
      for (const { values, cell } of family.series()) {
        const labels = pairs(family.labels, values);
        let below = 0;
        family.bounds.forEach((bound, index) => {
          below += cell.counts[index] ?? 0;
          lines.push(`${family.name}_bucket${braces([...labels, `le="${bound}"`])} ${below}`);
        });
        lines.push(
          `${family.name}_bucket${braces([...labels, 'le="+Inf"'])} ${cell.count}`,
          `${family.name}_sum${braces(labels)} ${cell.sum}`,
          `${family.name}_count${braces(labels)} ${cell.count}`,
        );
      }
    } else {
      for (const { values, cell } of family.series()) {
        lines.push(`${family.name}${braces(pairs(family.labels, values))} ${cell.value}`);
      }
    }
  }
  return `${lines.join("\n")}\n`;
}

const pairs = (names: readonly string[], values: readonly string[]): string[] =>
  names.map((name, index) => `${name}="${escapeValue(values[index] ?? "")}"`);

const braces = (labels: readonly string[]): string => (labels.length === 0 ? "" : `{${labels.join(",")}}`);

const escapeValue = (value: string): string =>
  value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
