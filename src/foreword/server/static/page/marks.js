/** Where accepted text stands, kept up as the text around it and within it is edited. */
export class Marks {
  /** In order, none empty; `born` is the time of acceptance in milliseconds. */
  ranges = [];

  add(start, end, born) {
    this.ranges.push({ start, end, born });
    this.ranges.sort((one, other) => one.start - other.start);
  }

  /** Takes an edit: what was put in or taken out inside a range is no part of it. */
  edited(before, after) {
    if (!this.ranges.length || before === after) return;
    const { start, end, moved } = difference(before, after);
    this.ranges = this.ranges.flatMap((range) => {
      if (range.end <= start) return [range];
      if (range.start >= end) {
        return [{ ...range, start: range.start + moved, end: range.end + moved }];
      }
      const parts = [
        { ...range, end: start },
        { ...range, start: end + moved, end: range.end + moved },
      ];
      return parts.filter((part) => part.start < part.end);
    });
  }

  /** Forgets what was accepted before a time; returns whether there was any. */
  forget(time) {
    const kept = this.ranges.filter((range) => range.born > time);
    const changed = kept.length < this.ranges.length;
    this.ranges = kept;
    return changed;
  }

  /** The parts of ranges between two places, counted from the first one. */
  between(start, end) {
    return this.ranges
      .filter((range) => range.start < end && range.end > start)
      .map(({ born, ...range }) => ({
        start: Math.max(range.start, start) - start,
        end: Math.min(range.end, end) - start,
        born,
      }));
  }
}

/** The one stretch of a text that an edit replaced, and by how much what follows moved. */
export function difference(before, after) {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start += 1;
  let same = 0;
  while (same < most - start && before.at(-1 - same) === after.at(-1 - same)) same += 1;
  return { start, end: before.length - same, moved: after.length - before.length };
}
