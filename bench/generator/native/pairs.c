/*
 * The load of `messages` in C: many pairs, each a sender and a recipient on connections of their own. Compiled by
 * native-program.ts where there is a C compiler; no library but libc. pair-load.ts is its twin in TypeScript, for machines without
 * one; both keep the same books (pair.ts says what each counter is) and void a run for the same reasons.
 *
 * Why: with both ends on one small machine, what the generator takes is missing to the server. Read, check and answer of a
 * message cost a quarter here of what they cost there, and nothing is ever collected.
 *
 * The connections are opened and logged in by the process that starts this one, and inherited: descriptor 3 + 2n is the sender of
 * pair n, 4 + 2n its recipient. What is said and expected comes from the file of pairs, encoded by protocol/wire; a stanza that differs from
 * what is expected by a byte goes to the parent as it is, who has the real decoder.
 *
 *   pairs FILE
 *
 *   stdin    run closed IN_FLIGHT WARM_UP_MS WINDOW_MS DRAIN_MS | run open RATE INDEX COUNT WARM_UP_MS WINDOW_MS DRAIN_MS
 *   stdout   L            the file is read
 *            B, W            the window has begun, has ended
 *            Y H:…           what arrived in a second, as a histogram
 *            H letter …      a histogram of the window: D delivery, R raw, C receipt, L sending, G lateness of the loop
 *            R accepted completed window_ns cpu_us      ends the run
 *            O line hex      a stanza that is none of the expected ones
 *            F CODE detail   the run has failed; the last word
 *
 * One thread, one epoll, one write for each socket and turn.
 */

#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_FD = 3, READ_BYTES = 262144, TURN_BYTES = 65536, EVENTS = 512, MESSAGE_BYTES_MAX = 16384, LAG_MS = 5 };
enum { OPCODE_BINARY = 2, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10, HEADER_BYTES = 3, TAG_BYTES = 4 };

/* --- the file of pairs; native-pairs.ts writes it ------------------------------------------------------------------- */

struct piece { const u8 *bytes; size_t length; };

static struct {
  u32 pairs, outstanding_max;
  u8 seq_name, ts_name;
  struct piece inbox_ack; /* up to its seq */
} shape;

/* --- state ------------------------------------------------------------------------------------------------------------ */

/* Each counter is the highest id, or position, that reached the station: ids are 1, 2, 3 … and come in this order everywhere. */
struct pair {
  u32 due, sent, accepted, delivered, receipted;
  u64 position, acknowledged;
  u32 acknowledged_id;
  u64 *intended_ns, *sent_ns; /* rings of outstanding_max, a power of two */
  struct piece before_id, after_id, ciphertext;  /* of what is sent */
  struct piece delivery, envelope, ack, receipt; /* of what is heard, up to where it begins to differ */
};

struct line {
  int fd;
  u8 is_awake, is_blocked, has_pong;
  u8 pong[126];
  u8 pong_bytes;
  u8 *rest; /* a frame that was cut by the end of a read */
  size_t rest_bytes;
  u8 *waiting; /* what the socket had no room for */
  size_t waiting_bytes, waiting_at;
};

static struct pair *pairs;
static struct line *lines; /* 2n the sender of pair n, 2n + 1 its recipient */
static u32 line_count;
static u32 *awake, awake_count;
static int poll_fd;

static struct histogram delivery, raw, receipt, sending, lateness, second;
static u64 accepted, completed;
static u64 window_from_ns = UINT64_MAX, window_to_ns = UINT64_MAX;

static int in_window(u64 intended_ns) { return intended_ns >= window_from_ns && intended_ns < window_to_ns; }

/* --- failures ---------------------------------------------------------------------------------------------------------- */

static void fail(const char *code, const char *format, ...) {
  va_list arguments;
  printf("F %s ", code);
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
  fflush(stdout);
  /* The parent hears of an end before it has read the last line: it ends this process when it has. */
  fcntl(0, F_SETFL, 0);
  for (char ignored[64]; read(0, ignored, sizeof ignored) > 0;) continue;
  exit(1);
}

static u32 pair_number(const struct pair *pair) { return (u32)(pair - pairs); }

/* --- the books of a pair: pair.ts says the same in other words ------------------------------------------------------------ */

static u32 ring(u32 id) { return id & (shape.outstanding_max - 1); }

static void wake(u32 index) {
  if (lines[index].is_awake) return;
  lines[index].is_awake = 1;
  awake[awake_count++] = index;
}

static void intend(struct pair *pair, u32 count, u64 intended_ns) {
  if (pair->due - pair->receipted + count > shape.outstanding_max)
    fail("BENCH_OVERRUN", "pair %u: %u messages wait for their receipt", pair_number(pair), pair->due - pair->receipted);
  while (count--) pair->intended_ns[ring(++pair->due)] = intended_ns;
  wake(2 * pair_number(pair));
}

static void take_ack(struct pair *pair, u64 id) {
  if (id > pair->sent) fail("BENCH_FALSE_RECEIPT", "pair %u: <ack id=\"%llu\"> with %u sent", pair_number(pair), (unsigned long long)id, pair->sent);
  if (id <= pair->accepted) return;
  accepted += id - pair->accepted;
  pair->accepted = (u32)id;
}

static u32 in_flight; /* of each pair in a closed loop; 0 in an open one */

static void take_receipt(struct pair *pair, u64 id, u64 now) {
  if (id > pair->acknowledged_id)
    fail("BENCH_FALSE_RECEIPT", "pair %u: delivered receipt for %llu, acknowledged up to %u", pair_number(pair), (unsigned long long)id,
         pair->acknowledged_id);
  if (id <= pair->receipted) return;
  completed += id - pair->receipted;
  while (pair->receipted < id) {
    u64 intended_ns = pair->intended_ns[ring(++pair->receipted)];
    if (in_window(intended_ns)) record(&receipt, intended_ns, now);
  }
  u32 outstanding = pair->due - pair->receipted;
  if (in_flight > outstanding) intend(pair, in_flight - outstanding, now);
}

static void check_ciphertext(const struct pair *pair, u32 id, const u8 *bytes, size_t length) {
  const struct piece *own = &pair->ciphertext;
  u32 tag = length < TAG_BYTES ? 0 : (u32)bytes[0] << 24 | (u32)bytes[1] << 16 | (u32)bytes[2] << 8 | bytes[3];
  if (length == own->length && tag == id && memcmp(bytes + TAG_BYTES, own->bytes + TAG_BYTES, length - TAG_BYTES) == 0) return;
  fail("BENCH_CORRUPT", "pair %u: the ciphertext of message %u is another one", pair_number(pair), id);
}

static void take_delivery(struct pair *pair, u64 id, u64 seq, const u8 *bytes, size_t length, u64 now) {
  if (id != pair->delivered + 1ull || seq != pair->position + 1)
    fail(id <= pair->delivered ? "BENCH_DUPLICATE" : "BENCH_GAP", "pair %u: message %llu at position %llu, expected id %u at %llu", pair_number(pair),
         (unsigned long long)id, (unsigned long long)seq, pair->delivered + 1, (unsigned long long)pair->position + 1);
  if (id > pair->sent)
    fail("BENCH_FALSE_RECEIPT", "pair %u: message %llu delivered with %u sent", pair_number(pair), (unsigned long long)id, pair->sent);
  pair->delivered = (u32)id;
  pair->position = seq;
  check_ciphertext(pair, (u32)id, bytes, length);
  u64 intended_ns = pair->intended_ns[ring((u32)id)];
  record(&second, intended_ns, now);
  if (in_window(intended_ns)) {
    record(&delivery, intended_ns, now);
    record(&raw, pair->sent_ns[ring((u32)id)], now);
  }
  wake(2 * pair_number(pair) + 1);
}

static int is_idle(void) {
  for (u32 i = 0; i < shape.pairs; i++)
    if (pairs[i].receipted != pairs[i].due || pairs[i].acknowledged != pairs[i].position) return 0;
  return 1;
}

static void fail_stuck(void) {
  u32 stuck = 0, unsent = 0, unaccepted = 0, undelivered = 0, unreceipted = 0;
  for (struct pair *pair = pairs; pair < pairs + shape.pairs; pair++) {
    if (pair->receipted == pair->due && pair->acknowledged == pair->position) continue;
    stuck++;
    unsent += pair->due - pair->sent;
    unaccepted += pair->sent - pair->accepted;
    undelivered += pair->accepted - pair->delivered;
    unreceipted += pair->delivered - pair->receipted;
  }
  fail("BENCH_LOST",
       "%u pairs are stuck: %d not sent, %d not acknowledged to the sender, %d acknowledged and not delivered, %d delivered without a receipt", stuck,
       (int)unsent, (int)unaccepted, (int)undelivered, (int)unreceipted);
}

/* --- hearing --------------------------------------------------------------------------------------------------------------- */

static int take_piece(const u8 **at, const u8 *end, const struct piece *piece) {
  if ((size_t)(end - *at) < piece->length || memcmp(*at, piece->bytes, piece->length) != 0) return 0;
  *at += piece->length;
  return 1;
}

static int take_byte(const u8 **at, const u8 *end, u8 expected) { return *at < end && *(*at)++ == expected; }

/* An integer of up to six bytes in its one form; others are the real decoder's. */
static int take_integer(const u8 **at, const u8 *end, u64 *value) {
  if (*at >= end || **at < 0xc0 || **at > 0xe5) return 0;
  u8 lead = *(*at)++;
  if (lead < 0xe0) return *value = lead & 31, 1;
  size_t bytes = (size_t)(lead - 0xdf);
  if ((size_t)(end - *at) < bytes || **at == 0) return 0;
  for (*value = 0; bytes > 0; bytes--) *value = *value << 8 | *(*at)++;
  return *value > 31;
}

/* The count in front of a ciphertext: seven bits, or fourteen where they are needed. */
static int take_count(const u8 **at, const u8 *end, size_t *count) {
  if (*at >= end) return 0;
  u8 first = *(*at)++;
  if (first < 0x80) return *count = first, 1;
  if (*at >= end) return 0;
  *count = (size_t)(first & 0x7f) << 8 | *(*at)++;
  return *count >= 0x80 && *count < 1 << 14;
}

/* <ack to id ts/> and <receipt type from id ts/>: a prefix, the id, the time. */
static int take_mark(const struct piece *prefix, const u8 *at, const u8 *end, u64 *id) {
  u64 ts;
  return take_piece(&at, end, prefix) && take_integer(&at, end, id) && *id > 0 && take_byte(&at, end, shape.ts_name) && take_integer(&at, end, &ts) &&
         at == end;
}

static int hear_sender(struct pair *pair, const u8 *at, const u8 *end, u64 now) {
  u64 id;
  if (take_mark(&pair->ack, at, end, &id)) return take_ack(pair, id), 1;
  if (take_mark(&pair->receipt, at, end, &id)) return take_receipt(pair, id, now), 1;
  return 0;
}

static int hear_recipient(struct pair *pair, const u8 *at, const u8 *end, u64 now) {
  u64 id, seq, ts;
  size_t length;
  if (!take_piece(&at, end, &pair->delivery) || !take_integer(&at, end, &id) || !take_byte(&at, end, shape.seq_name) || !take_integer(&at, end, &seq) ||
      !take_byte(&at, end, shape.ts_name) || !take_integer(&at, end, &ts) || !take_piece(&at, end, &pair->envelope) || !take_count(&at, end, &length) ||
      length != (size_t)(end - at))
    return 0;
  take_delivery(pair, id, seq, at, length, now);
  return 1;
}

static void pass_on(u32 index, const u8 *at, const u8 *end) {
  printf("O %u ", index);
  while (at < end) printf("%02x", *at++);
  printf("\n");
  fflush(stdout);
}

static void hear(u32 index, const u8 *at, const u8 *end, u64 now) {
  struct pair *pair = &pairs[index / 2];
  while (at < end) {
    const u8 *stanza = at + HEADER_BYTES;
    const u8 *next = end - at < HEADER_BYTES ? NULL : stanza + ((u32)at[0] << 16 | (u32)at[1] << 8 | at[2]);
    if (next == NULL || next > end) fail("BENCH_UNEXPECTED", "pair %u: a frame is cut off", pair_number(pair));
    int is_known = index % 2 == 0 ? hear_sender(pair, stanza, next, now) : hear_recipient(pair, stanza, next, now);
    if (!is_known) pass_on(index, stanza, next);
    at = next;
  }
}

static void hear_control(u32 index, u8 opcode, const u8 *payload, size_t length) {
  struct line *line = &lines[index];
  if (opcode == OPCODE_CLOSE)
    fail("BENCH_CONNECT", "the server closed with %d %.*s", length < 2 ? 1005 : payload[0] << 8 | payload[1], length < 2 ? 0 : (int)length - 2, payload + 2);
  if (opcode != OPCODE_PING || length > 125) return;
  memcpy(line->pong, payload, length);
  line->pong_bytes = (u8)length;
  line->has_pong = 1;
  wake(index);
}

/* Returns how many of the bytes were whole frames. */
static size_t hear_frames(u32 index, const u8 *bytes, size_t length, u64 now) {
  size_t at = 0;
  while (length - at >= 2) {
    size_t head = 2, payload = bytes[at + 1];
    u8 opcode = bytes[at] & 0x0f;
    if ((bytes[at] & 0xf0) != 0x80 || payload > 126 || (opcode < OPCODE_CLOSE && opcode != OPCODE_BINARY))
      fail("BENCH_UNEXPECTED", "the server's bytes are no frames: %02x %02x", bytes[at], bytes[at + 1]);
    if (payload == 126) {
      if (length - at < 4) break;
      head = 4;
      payload = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
    }
    if (payload > MESSAGE_BYTES_MAX) fail("BENCH_UNEXPECTED", "a frame of %zu bytes", payload);
    if (length - at < head + payload) break;
    const u8 *start = bytes + at + head;
    if (opcode == OPCODE_BINARY) hear(index, start, start + payload, now);
    else hear_control(index, opcode, start, payload);
    at += head + payload;
  }
  return at;
}

static void readable(u32 index) {
  static u8 buffer[READ_BYTES + MESSAGE_BYTES_MAX + 8];
  struct line *line = &lines[index];
  size_t kept = line->rest_bytes;
  if (kept > 0) memcpy(buffer, line->rest, kept);
  ssize_t got = recv(line->fd, buffer + kept, READ_BYTES, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) fail("BENCH_CONNECT", got == 0 ? "the server closed the connection" : "%s", strerror(errno));
  size_t length = kept + (size_t)got, used = hear_frames(index, buffer, length, now_ns());
  line->rest_bytes = length - used;
  if (line->rest_bytes == 0) return;
  if (line->rest == NULL && (line->rest = malloc(MESSAGE_BYTES_MAX + 8)) == NULL) fail("BENCH_CHILD", "no memory");
  memcpy(line->rest, buffer + used, line->rest_bytes);
}

/* --- speaking ----------------------------------------------------------------------------------------------------------------- */

static u8 turn[TURN_BYTES + MESSAGE_BYTES_MAX + 64];

static void watch(u32 index, int operation, u32 events) {
  struct epoll_event event = {.events = events, .data.u32 = index};
  if (epoll_ctl(poll_fd, operation, lines[index].fd, &event) != 0) fail("BENCH_CHILD", "epoll_ctl: %s", strerror(errno));
}

/* One frame for each message, as somebody who writes one at a time. */
static u8 *put_message(struct pair *pair, u8 *at, u64 now) {
  u8 integer[9];
  u32 id = ++pair->sent;
  size_t integer_bytes = put_integer(integer, id);
  size_t stanza = pair->before_id.length + integer_bytes + pair->after_id.length + pair->ciphertext.length;
  pair->sent_ns[ring(id)] = now;
  if (in_window(pair->intended_ns[ring(id)])) record(&sending, pair->intended_ns[ring(id)], now);
  at += put_frame_head(at, OPCODE_BINARY, HEADER_BYTES + stanza);
  *at++ = (u8)(stanza >> 16), *at++ = (u8)(stanza >> 8), *at++ = (u8)stanza;
  at = put(at, pair->before_id.bytes, pair->before_id.length);
  at = put(at, integer, integer_bytes);
  at = put(at, pair->after_id.bytes, pair->after_id.length);
  *at++ = (u8)(id >> 24), *at++ = (u8)(id >> 16), *at++ = (u8)(id >> 8), *at++ = (u8)id;
  return put(at, pair->ciphertext.bytes + TAG_BYTES, pair->ciphertext.length - TAG_BYTES);
}

static u8 *put_inbox_ack(struct pair *pair, u8 *at) {
  u8 integer[9];
  size_t integer_bytes = put_integer(integer, pair->position), stanza = shape.inbox_ack.length + integer_bytes;
  pair->acknowledged = pair->position;
  pair->acknowledged_id = pair->delivered;
  at += put_frame_head(at, OPCODE_BINARY, HEADER_BYTES + stanza);
  *at++ = 0, *at++ = 0, *at++ = (u8)stanza;
  return put(put(at, shape.inbox_ack.bytes, shape.inbox_ack.length), integer, integer_bytes);
}

/* Gives the socket what it takes; what it does not take waits until it is writable. */
static void write_line(u32 index, const u8 *bytes, size_t length) {
  struct line *line = &lines[index];
  ssize_t written = send(line->fd, bytes, length, MSG_NOSIGNAL);
  if (written < 0 && errno != EAGAIN) fail("BENCH_CONNECT", "%s", strerror(errno));
  size_t taken = written < 0 ? 0 : (size_t)written;
  if (taken == length) return;
  line->waiting = malloc(length - taken);
  if (line->waiting == NULL) fail("BENCH_CHILD", "no memory");
  memcpy(line->waiting, bytes + taken, length - taken);
  line->waiting_bytes = length - taken;
  line->waiting_at = 0;
  line->is_blocked = 1;
  watch(index, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static void writable(u32 index) {
  struct line *line = &lines[index];
  ssize_t written = send(line->fd, line->waiting + line->waiting_at, line->waiting_bytes - line->waiting_at, MSG_NOSIGNAL);
  if (written < 0 && errno != EAGAIN) fail("BENCH_CONNECT", "%s", strerror(errno));
  if (written > 0) line->waiting_at += (size_t)written;
  if (line->waiting_at < line->waiting_bytes) return;
  free(line->waiting);
  line->waiting = NULL;
  line->is_blocked = 0;
  watch(index, EPOLL_CTL_MOD, EPOLLIN);
  wake(index);
}

static void speak(u32 index) {
  struct line *line = &lines[index];
  struct pair *pair = &pairs[index / 2];
  u8 *at = turn;
  if (line->has_pong) at += put_frame_head(at, OPCODE_PONG, line->pong_bytes), at = put(at, line->pong, line->pong_bytes);
  line->has_pong = 0;
  if (index % 2 == 1) {
    if (pair->acknowledged != pair->position) at = put_inbox_ack(pair, at);
  } else {
    u64 now = pair->sent == pair->due ? 0 : now_ns();
    while (pair->sent != pair->due && at < turn + TURN_BYTES) at = put_message(pair, at, now);
    if (pair->sent != pair->due) wake(index);
  }
  if (at > turn) write_line(index, turn, (size_t)(at - turn));
}

/* Who is woken while the others speak has its turn in the next round. */
static void speak_all(void) {
  static u32 *now_speaking;
  if (now_speaking == NULL && (now_speaking = malloc(line_count * sizeof *now_speaking)) == NULL) fail("BENCH_CHILD", "no memory");
  u32 count = awake_count;
  memcpy(now_speaking, awake, count * sizeof *awake);
  awake_count = 0;
  for (u32 i = 0; i < count; i++) lines[now_speaking[i]].is_awake = 0;
  /* A socket that is full wakes its line itself. */
  for (u32 i = 0; i < count; i++)
    if (!lines[now_speaking[i]].is_blocked) speak(now_speaking[i]);
}

/* --- a run: warm-up, window, drain; measured-run.ts draws it ------------------------------------------------------------------ */

enum phase { IDLE, WARM_UP, WINDOW, DRAIN };

static struct {
  enum phase phase;
  u8 is_open;
  double rate; /* messages per second of all generators together */
  u32 index, count, next;
  u64 taken, start_ns, edge_ns, second_ns, window_ns, drain_ns, look_ns, begun_cpu_us, accepted, completed, used_us;
} run;

/* Message n of a fixed rate has its time fixed in advance: what goes out late keeps it. See harness/pace.ts. */
static void keep_pace(u64 now) {
  if (!run.is_open) return;
  for (;;) {
    double number = (double)run.taken * run.count + run.index;
    u64 due = run.start_ns + (u64)(number * 1e9 / run.rate);
    if (due > now) return;
    run.taken++;
    intend(&pairs[run.next], 1, due);
    run.next = (run.next + 1) % shape.pairs;
  }
}

static void begin_window(u64 now) {
  memset(&delivery, 0, sizeof delivery), memset(&raw, 0, sizeof raw), memset(&receipt, 0, sizeof receipt);
  memset(&sending, 0, sizeof sending), memset(&lateness, 0, sizeof lateness);
  accepted = completed = 0;
  window_from_ns = now;
  window_to_ns = UINT64_MAX;
  run.begun_cpu_us = cpu_us();
  run.phase = WINDOW;
  run.edge_ns = now + run.window_ns;
  printf("B\n");
}

static void end_window(u64 now) {
  run.window_ns = now - window_from_ns;
  window_to_ns = now;
  run.accepted = accepted, run.completed = completed;
  run.used_us = cpu_us() - run.begun_cpu_us;
  /* A generator that stood still at the end of the window still owes what was due before it. */
  keep_pace(now);
  run.is_open = 0;
  in_flight = 0;
  run.phase = DRAIN;
  run.edge_ns = now + run.drain_ns;
  printf("W\n");
}

static void end_run(void) {
  report_histogram('D', &delivery);
  report_histogram('R', &raw);
  report_histogram('C', &receipt);
  report_histogram('L', &sending);
  report_histogram('G', &lateness);
  printf("R %llu %llu %llu %llu\n", (unsigned long long)run.accepted, (unsigned long long)run.completed, (unsigned long long)run.window_ns,
         (unsigned long long)run.used_us);
  run.phase = IDLE;
}

static void look_at_second(u64 now) {
  if (run.phase == IDLE || run.phase == DRAIN || now < run.second_ns) return;
  run.second_ns += SECOND;
  printf("Y\n");
  report_histogram('Y', &second);
  fflush(stdout);
}

/* How late this loop is: it asks to be woken every LAG_MS. */
static void look_at_lateness(u64 now) {
  if (now < run.look_ns) return;
  if (run.phase == WINDOW) record(&lateness, run.look_ns, now);
  run.look_ns = now + LAG_MS * MILLI;
}

static void go_on(u64 now) {
  look_at_lateness(now);
  keep_pace(now);
  look_at_second(now);
  if (run.phase == WARM_UP && now >= run.edge_ns) begin_window(now);
  else if (run.phase == WINDOW && now >= run.edge_ns) end_window(now);
  else if (run.phase == DRAIN && is_idle()) end_run();
  else if (run.phase == DRAIN && now >= run.edge_ns) fail_stuck();
  else return;
  fflush(stdout);
}

static void begin_run(unsigned warm_up_ms, unsigned window_ms, unsigned drain_ms) {
  u64 now = now_ns();
  run.phase = WARM_UP;
  run.edge_ns = now + warm_up_ms * MILLI;
  run.window_ns = window_ms * MILLI, run.drain_ns = drain_ms * MILLI;
  run.start_ns = now;
  run.second_ns = now + SECOND;
  run.look_ns = now + LAG_MS * MILLI;
  run.taken = 0;
  memset(&second, 0, sizeof second);
  window_from_ns = window_to_ns = UINT64_MAX;
  if (in_flight > 0)
    for (u32 i = 0; i < shape.pairs; i++) intend(&pairs[i], in_flight, now);
}

/* --- commands -------------------------------------------------------------------------------------------------------------------- */

static void obey(const char *command) {
  unsigned flight, warm_up, window, drain, index, count;
  double rate;
  if (sscanf(command, "run closed %u %u %u %u", &flight, &warm_up, &window, &drain) == 4) {
    in_flight = flight;
    run.is_open = 0;
    begin_run(warm_up, window, drain);
  } else if (sscanf(command, "run open %lf %u %u %u %u %u", &rate, &index, &count, &warm_up, &window, &drain) == 6 && rate > 0 && count > 0) {
    in_flight = 0;
    run.is_open = 1;
    run.rate = rate, run.index = index, run.count = count;
    begin_run(warm_up, window, drain);
  } else fail("BENCH_CHILD", "no command: %s", command);
}

static void take_commands(void) {
  static char text[4096];
  static size_t length;
  ssize_t got = read(0, text + length, sizeof text - 1 - length);
  /* The parent is gone. */
  if (got == 0) exit(0);
  if (got < 0) return;
  length += (size_t)got;
  for (char *newline; (newline = memchr(text, '\n', length)) != NULL;) {
    *newline = 0;
    obey(text);
    size_t used = (size_t)(newline - text) + 1;
    memmove(text, newline + 1, length - used);
    length -= used;
  }
  if (length == sizeof text - 1) fail("BENCH_CHILD", "a command of more than %zu bytes", length);
}

/* --- the start ---------------------------------------------------------------------------------------------------------------------- */

static struct piece next_piece(const u8 **at, const u8 *end) {
  struct piece piece = {NULL, 0};
  if (end - *at < 2) fail("BENCH_CHILD", "no file of pairs");
  piece.length = (size_t)(*at)[0] | (size_t)(*at)[1] << 8;
  piece.bytes = *at + 2;
  if ((size_t)(end - piece.bytes) < piece.length) fail("BENCH_CHILD", "no file of pairs");
  *at = piece.bytes + piece.length;
  return piece;
}

static u64 *allocate_ring(void) {
  u64 *times = calloc(shape.outstanding_max, sizeof *times);
  if (times == NULL) fail("BENCH_CHILD", "no memory");
  return times;
}

static void load_pair(struct pair *pair, const u8 **at, const u8 *end) {
  struct piece *pieces[] = {&pair->before_id, &pair->after_id, &pair->ciphertext, &pair->delivery, &pair->envelope, &pair->ack, &pair->receipt};
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) *pieces[i] = next_piece(at, end);
  if (pair->ciphertext.length < TAG_BYTES || pair->before_id.length + pair->after_id.length + pair->ciphertext.length + 12 > MESSAGE_BYTES_MAX)
    fail("BENCH_CHILD", "no file of pairs");
  pair->intended_ns = allocate_ring();
  pair->sent_ns = allocate_ring();
}

static void load(const char *path) {
  struct stat info;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &info) != 0) fail("BENCH_CHILD", "the file of pairs cannot be read");
  const u8 *memory = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0), *end = memory + info.st_size, *at = memory + 18;
  if (memory == MAP_FAILED || info.st_size < 18 || memcmp(memory, "BBPAIR1", 8) != 0) fail("BENCH_CHILD", "no file of pairs");
  close(fd);
  memcpy(&shape.pairs, memory + 8, 4), memcpy(&shape.outstanding_max, memory + 12, 4);
  shape.seq_name = memory[16], shape.ts_name = memory[17];
  shape.inbox_ack = next_piece(&at, end);
  pairs = calloc(shape.pairs, sizeof *pairs);
  line_count = 2 * shape.pairs;
  lines = calloc(line_count, sizeof *lines);
  awake = calloc(line_count, sizeof *awake);
  if (pairs == NULL || lines == NULL || awake == NULL) fail("BENCH_CHILD", "no memory");
  for (u32 i = 0; i < shape.pairs; i++) load_pair(&pairs[i], &at, end);
}

/* Milliseconds until something is due. */
static int patience_ms(u64 now) {
  if (awake_count > 0) return 0;
  if (run.phase == IDLE) return 20;
  if (run.is_open || run.phase == DRAIN) return 1;
  u64 due = run.look_ns < run.edge_ns ? run.look_ns : run.edge_ns;
  return due <= now ? 0 : (int)((due - now + MILLI - 1) / MILLI);
}

static void handle(const struct epoll_event *event) {
  u32 index = event->data.u32;
  if (index == UINT32_MAX) return take_commands();
  if (event->events & EPOLLOUT && lines[index].is_blocked) writable(index);
  if (event->events & ~(u32)EPOLLOUT) readable(index);
}

int main(int argc, char **argv) {
  static struct epoll_event events[EVENTS];
  if (argc != 2) fail("BENCH_CHILD", "usage: pairs FILE");
  load(argv[1]);
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  fcntl(0, F_SETFL, O_NONBLOCK);
  printf("L\n");
  fflush(stdout);
  struct epoll_event commands = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &commands);
  for (u32 index = 0; index < line_count; index++) {
    lines[index].fd = FIRST_FD + (int)index;
    fcntl(lines[index].fd, F_SETFL, fcntl(lines[index].fd, F_GETFL) | O_NONBLOCK);
    watch(index, EPOLL_CTL_ADD, EPOLLIN);
  }
  for (;;) {
    int found = epoll_wait(poll_fd, events, EVENTS, patience_ms(now_ns()));
    for (int i = 0; i < found; i++) handle(&events[i]);
    go_on(now_ns());
    speak_all();
  }
}
