package peer;

import java.nio.ByteBuffer;

/**
 * One account: totals and the kept windows of three grains, sorted by start.
 *
 * <p>Mutable: the aggregate changes and returns it. In the store it is binary (longs in order).
 */
final class Row {
  static final String[] NAMES = {"1m", "1h", "1d"};
  private static final long[] SIZES_MS = {60_000L, 3_600_000L, 86_400_000L};
  private static final long[] KEEPS_MS = {900_000L, 3 * 3_600_000L, 2 * 86_400_000L};

  long gained;
  long lost;
  long lastEventMs;

  /** Per grain: start, gained, lost, start, gained, lost... */
  long[][] windows = {new long[0], new long[0], new long[0]};

  void add(boolean isFollow, long occurredAtMs) {
    if (isFollow) {
      gained++;
    } else {
      lost++;
    }
    lastEventMs = Math.max(lastEventMs, occurredAtMs);
    for (int grain = 0; grain < SIZES_MS.length; grain++) {
      long start = occurredAtMs - occurredAtMs % SIZES_MS[grain];
      int at = place(grain, start);
      windows[grain][at + (isFollow ? 1 : 2)]++;
    }
  }

  /** Index of the window that starts at `start`; inserts it, and lets go of what is past keep. */
  private int place(int grain, long start) {
    long[] held = windows[grain];
    int at = held.length;
    while (at > 0 && held[at - 3] > start) {
      at -= 3;
    }
    if (at > 0 && held[at - 3] == start) {
      return at - 3;
    }
    int drop = 0;
    while (drop < at && held[drop] + SIZES_MS[grain] + KEEPS_MS[grain] <= lastEventMs) {
      drop += 3;
    }
    long[] grown = new long[held.length - drop + 3];
    System.arraycopy(held, drop, grown, 0, at - drop);
    grown[at - drop] = start;
    System.arraycopy(held, at, grown, at - drop + 3, held.length - at);
    windows[grain] = grown;
    return at - drop;
  }

  byte[] toBytes() {
    int longs = 3 + windows[0].length + windows[1].length + windows[2].length;
    ByteBuffer buffer = ByteBuffer.allocate(8 * longs + windows.length);
    buffer.putLong(gained).putLong(lost).putLong(lastEventMs);
    for (long[] held : windows) {
      buffer.put((byte) (held.length / 3));
      for (long one : held) {
        buffer.putLong(one);
      }
    }
    return buffer.array();
  }

  static Row fromBytes(byte[] bytes) {
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    Row row = new Row();
    row.gained = buffer.getLong();
    row.lost = buffer.getLong();
    row.lastEventMs = buffer.getLong();
    for (int grain = 0; grain < row.windows.length; grain++) {
      row.windows[grain] = new long[3 * buffer.get()];
      for (int at = 0; at < row.windows[grain].length; at++) {
        row.windows[grain][at] = buffer.getLong();
      }
    }
    return row;
  }
}
