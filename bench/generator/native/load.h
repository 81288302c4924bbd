/*
 * What the native generators share: time, histograms, the integers of the wire and the head of a frame. Included by hold.c and
 * pairs.c, each of which is one program; read by native-lines.ts, which knows the same buckets.
 */

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

static const u64 SECOND = 1000000000ull, MILLI = 1000000ull;

/* Nanoseconds of CLOCK_MONOTONIC, which all processes share. */
static u64 now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (u64)t.tv_sec * SECOND + (u64)t.tv_nsec;
}

/* Processor time of this process. */
static u64 cpu_us(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return (u64)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + (u64)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

/* --- histograms: 128 steps for each power of two, in microseconds ------------------------------------------------ */

enum { BUCKETS = 256 + 128 * 26 };

struct histogram {
  u32 counts[BUCKETS];
  u8 is_touched;
};

static void record(struct histogram *histogram, u64 from_ns, u64 to_ns) {
  u64 us = to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
  int bucket;
  if (us < 256) bucket = (int)us;
  else {
    int shift = 63 - __builtin_clzll(us) - 7;
    bucket = 256 + (shift - 1) * 128 + (int)(us >> shift) - 128;
  }
  if (bucket >= BUCKETS) bucket = BUCKETS - 1;
  histogram->counts[bucket]++;
  histogram->is_touched = 1;
}

/* Prints `H letter bucket:count …` and begins anew. Nothing for an empty one. */
static void report_histogram(char letter, struct histogram *histogram) {
  if (!histogram->is_touched) return;
  printf("H %c", letter);
  for (int bucket = 0; bucket < BUCKETS; bucket++)
    if (histogram->counts[bucket] > 0) printf(" %d:%u", bucket, histogram->counts[bucket]);
  printf("\n");
  memset(histogram, 0, sizeof *histogram);
}

/* --- the wire ----------------------------------------------------------------------------------------------------- */

/* An integer in its one form; at most 9 bytes. */
static size_t put_integer(u8 *at, u64 value) {
  if (value < 32) return at[0] = 0xc0 | (u8)value, 1;
  size_t bytes = (size_t)(63 - __builtin_clzll(value)) / 8 + 1;
  at[0] = (u8)(0xdf + bytes);
  for (size_t i = 0; i < bytes; i++) at[bytes - i] = (u8)(value >> (8 * i));
  return bytes + 1;
}

static u8 *put(u8 *at, const u8 *bytes, size_t length) {
  memcpy(at, bytes, length);
  return at + length;
}

enum { FRAME_HEAD_MAX = 8 };

/* The head of a client's WebSocket frame (RFC 6455), with a masking key of zero: see websocket.ts. At most 65,535 bytes follow. */
static size_t put_frame_head(u8 *at, u8 opcode, size_t payload_bytes) {
  size_t head = payload_bytes < 126 ? 6 : 8;
  memset(at, 0, head);
  at[0] = 0x80 | opcode;
  at[1] = 0x80 | (payload_bytes < 126 ? (u8)payload_bytes : 126);
  if (head == 8) at[2] = (u8)(payload_bytes >> 8), at[3] = (u8)payload_bytes;
  return head;
}
