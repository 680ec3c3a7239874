// Metrics as plain numbers: a family has label names, a series its values, and counting is an addition. Exporters read them when asked.
//
// I1  A family never holds more than `mostSeries` series: what comes beyond is counted under `_other`, so that no label can eat the memory.
// I2  Series live as long as the process; their numbers only grow, gauges aside.

const mostSeries = 1000;

/** A number of one series. Whoever holds it changes `value`. */
export interface Cell {
  value: number;
}

/** Observations of one series. `counts[i]` are those up to `bounds[i]`, not cumulated; the last one those above all bounds. */
export interface Distribution {
  count: number;
  sum: number;
  readonly counts: number[];
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

export interface Series<T> {
  readonly values: readonly string[];
  readonly cell: T;
}

export interface NumberFamily extends Family {
  readonly kind: "counter" | "gauge";
  /** The series with these label values, in the order of the names. */
  readonly at: (...values: readonly string[]) => Cell;
  readonly series: () => IteratorObject<Series<Cell>>;
}

export interface HistogramFamily extends Family {
  readonly kind: "histogram";
  readonly bounds: readonly number[];
  readonly observe: (observed: number, ...values: readonly string[]) => void;
  readonly series: () => IteratorObject<Series<Distribution>>;
}

export type MetricFamily = NumberFamily | HistogramFamily;

export interface Registry {
  readonly families: readonly MetricFamily[];
  readonly counter: (name: string, help: string, labels: readonly string[]) => NumberFamily;
  readonly gauge: (name: string, help: string, labels: readonly string[]) => NumberFamily;
  readonly histogram: (
    name: string,
    help: string,
    labels: readonly string[],
    bounds: readonly number[],
  ) => HistogramFamily;
  /** A number without labels that is read when an exporter asks. */
  readonly observed: (kind: "counter" | "gauge", name: string, help: string, read: () => number) => void;
}

export function createRegistry(): Registry {
  const families: MetricFamily[] = [];
  const numbers = (kind: "counter" | "gauge", name: string, help: string, labels: readonly string[]) => {
    const { at, series } = seriesOf<Cell>(labels, () => ({ value: 0 }));
    const family: NumberFamily = { kind, name, help, labels, at, series };
    families.push(family);
    return family;
  };
  return {
    families,
    counter: (name, help, labels) => numbers("counter", name, help, labels),
    gauge: (name, help, labels) => numbers("gauge", name, help, labels),
    histogram(name, help, labels, bounds) {
      const { at, series } = seriesOf<Distribution>(labels, () => ({
        count: 0,
        sum: 0,
        counts: Array.from({ length: bounds.length + 1 }, () => 0),
      }));
      const family: HistogramFamily = {
        kind: "histogram",
        name,
        help,
        labels,
        bounds,
        series,
        observe(observed, ...values) {
          const cell = at(...values);
          cell.count += 1;
          cell.sum += observed;
          let bucket = 0;
          while (bucket < bounds.length && observed > (bounds[bucket] ?? Infinity)) bucket += 1;
          cell.counts[bucket] = (cell.counts[bucket] ?? 0) + 1;
        },
      };
      families.push(family);
      return family;
    },
    observed(kind, name, help, read) {
      const unused = () => {
        throw new Error(`${name} is read, not written`);
      };
      families.push({
        kind,
        name,
        help,
        labels: [],
        at: unused,
        series: () => [{ values: [], cell: { value: read() } }].values(),
      });
    },
  };
}

function seriesOf<T>(labels: readonly string[], create: () => T) {
  // A map for each label: joining the values to one key would make a new string for every call.
  type Level = Map<string, Level | Series<T>>;
  const root: Level = new Map();
  const all: Series<T>[] = [];
  const other = labels.map(() => "_other");
  const find = (values: readonly string[]): T => {
    let level = root;
    for (let index = 0; index < values.length - 1; index += 1) {
      const value = values[index] ?? "";
      let next = level.get(value);
      if (!(next instanceof Map)) level.set(value, (next = new Map()));
      level = next;
    }
    const last = values.at(-1) ?? "";
    const known = level.get(last);
    if (known !== undefined && !(known instanceof Map)) return known.cell;
    if (all.length >= mostSeries && values !== other) return find(other); // I1
    const one = { values: [...values], cell: create() };
    level.set(last, one);
    all.push(one);
    return one.cell;
  };
  return { at: (...values: readonly string[]) => find(values), series: () => all.values() };
}
