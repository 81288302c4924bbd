/*
 * The lean generator: holds tens of thousands of logged-in connections in a few megabytes. Compiled by
 * native-program.ts where there is a C compiler; no library but libc.
 *
 * It is told everything that it says: the frames of each account's login and of a message come from the file of accounts,
 * encoded by protocol/wire. What it knows of the protocol by itself is how to step over a stanza's attributes
 * (protocol/wire/FORMAT.md), the proof of a resume ticket (docs/protocol.md, "Tickets") and the framing of a
 * WebSocket client (RFC 6455; the masking key is zero, see websocket.ts).
 *
 *   connecting -> upgrading -> greeted -> resuming -> live        waiting: told to come back later
 *
 * Messages and heartbeats have intended times, fixed in advance: what is late keeps its time. A message carries its intended
 * and its actual time of sending, so whoever receives it knows both latencies. One thread, one epoll.
 *
 *   hold ACCOUNTS HOST PORT SOURCE[,SOURCE...]
 *
 *   stdin    login PARALLEL | go START_NS MILLI_MESSAGES_PER_S HEARTBEAT_MS SEED | stop | cut | quit
 *   stdout   S and H lines once a second (see report()), E lines for what happened
 *
 * Numbers that leave this process are integers; times are nanoseconds of CLOCK_MONOTONIC, which all processes share.
 */

#define _GNU_SOURCE
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 65536, FRAME_BYTES = 2048, EVENTS = 512, SOURCES = 16, CODES = 32 };
enum { SECRET_BYTES = 32, NONCE_BYTES = 32, DIGIT_BYTES = 8, STAMP_BYTES = 24 };

/* --- the file of accounts; native-holder.ts writes it ------------------------------------------------------- */

struct header {
  char magic[8];
  u32 accounts, resume_bytes, record_bytes, ciphertext_bytes;
  /* Tags and names as their one byte on the wire. */
  u8 stream, success, offline, failure, message, ack, receipt, pong, id, seq, retry_after, spare[5];
  u32 before_user_bytes, before_id_bytes, after_id_bytes, ping_bytes, inbox_ack_bytes, upgrade_bytes;
  u8 before_user[32], before_id[32], after_id[64], ping[32], inbox_ack[32];
  char upgrade[512];
  char label[64];
  u32 label_bytes;
};

/* digits[8] secret[32] resume[resume_bytes], the last 32 of them for the proof */
static struct header *H;
static const u8 *records;

/* --- SHA-256 and HMAC: FIPS 180-4, RFC 2104 ------------------------------------------------------------------- */

static const u32 K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static u32 rotr(u32 x, int n) { return x >> n | x << (32 - n); }

static void sha256_block(u32 *h, const u8 *p) {
  u32 w[64], v[8];
  for (int i = 0; i < 16; i++) w[i] = (u32)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    u32 a = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3, b = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + a + w[i - 7] + b;
  }
  memcpy(v, h, 32);
  for (int i = 0; i < 64; i++) {
    u32 s1 = rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25), ch = (v[4] & v[5]) ^ (~v[4] & v[6]);
    u32 t1 = v[7] + s1 + ch + K[i] + w[i];
    u32 s0 = rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22), maj = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    memmove(v + 1, v, 28);
    v[4] += t1;
    v[0] = t1 + s0 + maj;
  }
  for (int i = 0; i < 8; i++) h[i] += v[i];
}

/* Messages of at most 119 bytes behind one block: all that an HMAC of ours hashes. */
static void sha256_after_block(const u8 *block, const u8 *tail, size_t tail_bytes, u8 *out) {
  u32 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  u8 last[128] = {0};
  size_t blocks = tail_bytes < 56 ? 1 : 2;
  u64 bits = (64 + tail_bytes) * 8;
  sha256_block(h, block);
  memcpy(last, tail, tail_bytes);
  last[tail_bytes] = 0x80;
  for (int i = 0; i < 8; i++) last[blocks * 64 - 1 - i] = (u8)(bits >> (8 * i));
  for (size_t i = 0; i < blocks; i++) sha256_block(h, last + 64 * i);
  for (int i = 0; i < 32; i++) out[i] = (u8)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* HMAC-SHA-256(secret, label || nonce): what answers a nonce. */
static void prove(const u8 *secret, const u8 *nonce, u8 *out) {
  u8 pad[64], text[96], inner[32];
  memset(pad, 0x36, 64);
  for (int i = 0; i < SECRET_BYTES; i++) pad[i] ^= secret[i];
  memcpy(text, H->label, H->label_bytes);
  memcpy(text + H->label_bytes, nonce, NONCE_BYTES);
  sha256_after_block(pad, text, H->label_bytes + NONCE_BYTES, inner);
  for (int i = 0; i < 64; i++) pad[i] ^= 0x36 ^ 0x5c;
  sha256_after_block(pad, inner, 32, out);
}

/* --- state ------------------------------------------------------------------------------------------------------ */

enum state { AWAY, CONNECTING, UPGRADING, GREETED, RESUMING, LIVE, WAITING, GONE };

/* A frame that was cut by the end of a read. */
struct rest { u32 length; u8 bytes[]; };

struct line {
  int fd;
  u32 partner;
  u32 next_id; /* of its own messages */
  u32 heard_id; /* of its partner's */
  u64 at_ns; /* dialled, or the heartbeat that is out, or when to come back */
  struct rest *rest;
  u8 state;
  u8 is_pinged;
};

static struct line *lines;
static u32 count, next_dial, dialling, dialling_max, live, waiting;
static int poll_fd;
static struct sockaddr_in server;
static struct in_addr sources[SOURCES];
static int source_count;

static struct {
  u64 sent, acked, delivered, receipts, pings, pongs, closed, deferred, refused, duplicates, gaps;
} n;

static struct { int code; u64 count; } closes[CODES];

/* --- histograms --------------------------------------------------------------------------------------------------- */

enum { LOGIN, DELIVERY, RAW, SENDING, HEARTBEAT, HISTOGRAMS };
static const char HISTOGRAM_NAMES[] = "GDRLP";
static struct histogram histograms[HISTOGRAMS];

/* --- chance ------------------------------------------------------------------------------------------------------- */

static u64 seed = 1;

/* xorshift64*; the seed is the run's */
static u32 draw(u32 bound) {
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return (u32)(((seed * 2685821657736338717ull) >> 32) * bound >> 32);
}

/* --- what ends a connection, or the run ---------------------------------------------------------------------------- */

static void fatal(const char *what) {
  printf("E fatal %s\n", what);
  fflush(stdout);
  exit(1);
}

/* Codes: of a close frame, 1 for an end of file, 2 for a reset, 3 for a write that did not fit, 4 for bytes that are no frames. */
static void note_close(int code) {
  for (int i = 0; i < CODES; i++) {
    if (closes[i].code != code && closes[i].count != 0) continue;
    closes[i].code = code;
    closes[i].count++;
    return;
  }
}

static void drop(struct line *line) {
  if (line->fd >= 0) close(line->fd);
  line->fd = -1;
  free(line->rest);
  line->rest = NULL;
}

static void end(struct line *line, int code) {
  if (line->state == LIVE) live--;
  else if (line->state >= CONNECTING && line->state <= RESUMING) dialling--;
  drop(line);
  line->state = GONE;
  n.closed++;
  note_close(code);
}

static void come_back_later(struct line *line, u32 seconds) {
  drop(line);
  dialling--;
  waiting++;
  n.deferred++;
  line->state = WAITING;
  line->at_ns = now_ns() + (seconds ? seconds : 1) * SECOND + draw(1000) * MILLI;
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

static void write_all(struct line *line, const u8 *bytes, size_t length) {
  ssize_t written = send(line->fd, bytes, length, MSG_NOSIGNAL);
  /* A socket that cannot take a few hundred bytes is one whose server has stopped reading. */
  if (written != (ssize_t)length) end(line, errno == ECONNRESET || errno == EPIPE ? 2 : 3);
}

/* One masked frame with a copy of `payload`. */
static void say(struct line *line, u8 opcode, const u8 *payload, size_t length) {
  u8 frame[FRAME_BYTES];
  size_t head = put_frame_head(frame, opcode, length);
  memcpy(frame + head, payload, length);
  write_all(line, frame, head + length);
}

static void finish_stanza(struct line *line, u8 *stanza, u8 *end_of_stanza) {
  size_t length = (size_t)(end_of_stanza - stanza) - 3;
  stanza[0] = (u8)(length >> 16), stanza[1] = (u8)(length >> 8), stanza[2] = (u8)length;
  say(line, 2, stanza, length + 3);
}

static const u8 *record_of(u32 index) { return records + (size_t)index * H->record_bytes; }

static void send_message(u32 index, u64 intended_ns) {
  u8 stanza[FRAME_BYTES - 16], *at = stanza + 3;
  struct line *line = &lines[index];
  u64 sent_ns = now_ns();
  u32 id = ++line->next_id;
  at = put(at, H->before_user, H->before_user_bytes);
  at = put(at, record_of(line->partner), DIGIT_BYTES);
  at = put(at, H->before_id, H->before_id_bytes);
  at += put_integer(at, id);
  at = put(at, H->after_id, H->after_id_bytes);
  memset(at, 0x5a, H->ciphertext_bytes);
  memcpy(at, &intended_ns, 8), memcpy(at + 8, &sent_ns, 8), memcpy(at + 16, &id, 4), memcpy(at + 20, &index, 4);
  n.sent++;
  record(&histograms[SENDING], intended_ns, sent_ns);
  finish_stanza(line, stanza, at + H->ciphertext_bytes);
}

static void send_simple(struct line *line, const u8 *head, size_t head_bytes, u64 value) {
  u8 stanza[64], *at = put(stanza + 3, head, head_bytes);
  finish_stanza(line, stanza, at + put_integer(at, value));
}

/* --- hearing ---------------------------------------------------------------------------------------------------------- */

/* Reads a value at `*at`; returns an integer, or 0 for a text. False when it does not fit or has no legal form. */
static int take_value(const u8 **at, const u8 *end, u64 *value) {
  if (*at >= end) return 0;
  u8 lead = *(*at)++;
  size_t skip = 0;
  *value = 0;
  if (lead >= 0xc0 && lead <= 0xdf) return *value = lead & 31, 1;
  if (lead >= 0xe0 && lead <= 0xe6) {
    size_t bytes = (size_t)(lead - 0xdf);
    if ((size_t)(end - *at) < bytes) return 0;
    while (bytes--) *value = *value << 8 | *(*at)++;
    return 1;
  }
  if (lead >= 1 && lead <= 0xbf) return 1;
  if (*at >= end) return 0;
  if (lead == 0xe8) skip = 1;
  else if (lead == 0xec) skip = 1 + ((size_t) **at + 1) / 2;
  else if (lead == 0xed) skip = 1 + (size_t) **at;
  else if (lead == 0xee && end - *at >= 2) skip = 2 + ((size_t)(*at)[0] << 8 | (*at)[1]);
  else return 0;
  if ((size_t)(end - *at) < skip) return 0;
  *at += skip;
  return 1;
}

struct heard { u64 id, seq, retry_after; const u8 *content; };

/* The attributes of a stanza, behind its tag. */
static int take_attributes(const u8 *at, const u8 *end, struct heard *heard) {
  memset(heard, 0, sizeof *heard);
  if (at >= end) return 0;
  for (int left = *at++ >> 2; left > 0; left--) {
    u64 name_value, value;
    u8 name = at < end ? *at : 0;
    if (!take_value(&at, end, &name_value) || !take_value(&at, end, &value)) return 0;
    if (name == H->id) heard->id = value;
    else if (name == H->seq) heard->seq = value;
    else if (name == H->retry_after) heard->retry_after = value;
  }
  heard->content = at;
  return 1;
}

static void resume(struct line *line, const u8 *nonce) {
  const u8 *own = record_of((u32)(line - lines));
  u8 frame[512];
  memcpy(frame, own + DIGIT_BYTES + SECRET_BYTES, H->resume_bytes);
  prove(own + DIGIT_BYTES, nonce, frame + H->resume_bytes - 32);
  line->state = RESUMING;
  say(line, 2, frame, H->resume_bytes);
}

static void go_live(struct line *line) {
  record(&histograms[LOGIN], line->at_ns, now_ns());
  line->state = LIVE;
  dialling--;
  if (++live == count) printf("E live\n");
}

/* A message: its ciphertext ends the stanza. The ids of a conversation come one by one. */
static void take_message(struct line *line, const struct heard *heard, const u8 *end_of_stanza) {
  u64 intended_ns, sent_ns, heard_ns = now_ns();
  u32 id, from;
  if (end_of_stanza - heard->content < (long)H->ciphertext_bytes) return end(line, 4);
  const u8 *body = end_of_stanza - H->ciphertext_bytes;
  memcpy(&intended_ns, body, 8), memcpy(&sent_ns, body + 8, 8), memcpy(&id, body + 16, 4), memcpy(&from, body + 20, 4);
  if (id != heard->id || from != line->partner) n.gaps++;
  else if (id <= line->heard_id) n.duplicates++;
  else {
    if (id != line->heard_id + 1) n.gaps++;
    line->heard_id = id;
    n.delivered++;
    record(&histograms[DELIVERY], intended_ns, heard_ns);
    record(&histograms[RAW], sent_ns, heard_ns);
  }
  send_simple(line, H->inbox_ack, H->inbox_ack_bytes, heard->seq);
}

static void take_stanza(struct line *line, const u8 *at, const u8 *end_of_stanza) {
  struct heard heard;
  u8 tag = at < end_of_stanza ? *at : 0;
  if (!take_attributes(at + 1, end_of_stanza, &heard)) return end(line, 4);
  if (tag == H->stream && line->state == GREETED && end_of_stanza - at > NONCE_BYTES) resume(line, end_of_stanza - NONCE_BYTES);
  else if (tag == H->success && line->state == RESUMING) go_live(line);
  else if (tag == H->message) take_message(line, &heard, end_of_stanza);
  else if (tag == H->ack) n.acked++;
  else if (tag == H->receipt) n.receipts++;
  else if (tag == H->pong && line->is_pinged) {
    line->is_pinged = 0;
    n.pongs++;
    record(&histograms[HEARTBEAT], line->at_ns, now_ns());
  } else if (tag == H->failure && line->state == RESUMING && heard.retry_after > 0) come_back_later(line, (u32)heard.retry_after);
  else if (tag == H->failure && line->state == RESUMING) fatal("a ticket was refused");
  else if (tag != H->offline && tag != H->failure) n.refused++;
}

static void take_frame(struct line *line, u8 opcode, const u8 *payload, size_t length) {
  /* The server's own heartbeat. */
  if (opcode == 9) return n.pings++, n.pongs++, say(line, 10, payload, length);
  if (opcode == 8) return end(line, length >= 2 ? payload[0] << 8 | payload[1] : 1005);
  if (opcode != 2) return;
  const u8 *at = payload, *last = payload + length;
  while (last - at >= 3 && line->fd >= 0) {
    const u8 *next = at + 3 + ((u32)at[0] << 16 | (u32)at[1] << 8 | at[2]);
    if (next > last) return end(line, 4);
    take_stanza(line, at + 3, next);
    at = next;
  }
}

/* Returns how many bytes of `bytes` were whole frames. */
static size_t take_frames(struct line *line, const u8 *bytes, size_t length) {
  size_t at = 0;
  while (line->fd >= 0 && length - at >= 2) {
    size_t head = 2, payload = bytes[at + 1] & 0x7f;
    if (payload == 126) {
      if (length - at < 4) break;
      head = 4;
      payload = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
    } else if (payload == 127) return end(line, 4), at;
    if (length - at < head + payload) break;
    take_frame(line, bytes[at] & 0x0f, bytes + at + head, payload);
    at += head + payload;
  }
  return at;
}

/* The answer to the upgrade. Returns its length; 0 when it is not whole, or the line has ended. */
static size_t take_answer(struct line *line, const u8 *bytes, size_t length) {
  const u8 *blank = memmem(bytes, length, "\r\n\r\n", 4);
  if (blank == NULL) return 0;
  if (length > 12 && memcmp(bytes, "HTTP/1.1 101", 12) == 0) return line->state = GREETED, (size_t)(blank - bytes) + 4;
  const u8 *retry = memmem(bytes, (size_t)(blank - bytes), "etry-after: ", 12);
  if (retry != NULL) come_back_later(line, (u32)strtoul((const char *)retry + 12, NULL, 10));
  else end(line, 4);
  return 0;
}

static void take_bytes(struct line *line, const u8 *bytes, size_t length) {
  size_t at = 0;
  if (line->state == UPGRADING) at = take_answer(line, bytes, length);
  if (line->fd >= 0 && line->state != UPGRADING) at += take_frames(line, bytes + at, length - at);
  if (line->fd < 0 || at == length) return;
  line->rest = malloc(sizeof(struct rest) + length - at);
  if (line->rest == NULL) fatal("no memory");
  line->rest->length = (u32)(length - at);
  memcpy(line->rest->bytes, bytes + at, length - at);
}

static void readable(struct line *line) {
  static u8 buffer[2 * READ_BYTES];
  size_t kept = 0;
  if (line->rest != NULL) {
    kept = line->rest->length;
    memcpy(buffer, line->rest->bytes, kept);
    free(line->rest);
    line->rest = NULL;
  }
  ssize_t got = recv(line->fd, buffer + kept, READ_BYTES, 0);
  if (got > 0) take_bytes(line, buffer, kept + (size_t)got);
  else if (got == 0) end(line, 1);
  else if (errno != EAGAIN) end(line, 2);
}

/* --- dialling ---------------------------------------------------------------------------------------------------------- */

static void watch(struct line *line, int operation, u32 events) {
  struct epoll_event event = {.events = events, .data.u32 = (u32)(line - lines)};
  if (epoll_ctl(poll_fd, operation, line->fd, &event) != 0) fatal("epoll_ctl");
}

static void dial(struct line *line) {
  struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr = sources[(u32)(line - lines) % (u32)source_count]};
  int on = 1;
  line->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (line->fd < 0) fatal(strerror(errno));
  setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  /* The port is chosen at connect, when both ends are known: else each address would have 28,000 for all servers together. */
  setsockopt(line->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(line->fd, (struct sockaddr *)&local, sizeof local) != 0) fatal(strerror(errno));
  if (connect(line->fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS) fatal(strerror(errno));
  line->state = CONNECTING;
  line->at_ns = now_ns();
  dialling++;
  watch(line, EPOLL_CTL_ADD, EPOLLOUT);
}

static void connected(struct line *line) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(line->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return end(line, 2);
  line->state = UPGRADING;
  watch(line, EPOLL_CTL_MOD, EPOLLIN);
  write_all(line, (const u8 *)H->upgrade, H->upgrade_bytes);
}

static void dial_more(void) {
  while (dialling < dialling_max && next_dial < count) dial(&lines[next_dial++]);
  if (waiting == 0) return;
  u64 now = now_ns();
  for (u32 i = 0; i < next_dial && dialling < dialling_max && waiting > 0; i++) {
    if (lines[i].state != WAITING || lines[i].at_ns > now) continue;
    waiting--;
    dial(&lines[i]);
  }
}

/* --- the open loop ---------------------------------------------------------------------------------------------------- */

static struct { u64 start_ns, interval_ns, heartbeat_ns, messages, heartbeats; u8 is_sending, is_beating; } loop;

/* Pairs: a random matching. Everybody is somebody's partner, and one is left over of an odd number: it has itself. */
static void match(void) {
  u32 *order = malloc(count * sizeof *order);
  if (order == NULL) fatal("no memory");
  for (u32 i = 0; i < count; i++) order[i] = i;
  for (u32 i = count - 1; i > 0; i--) {
    u32 j = draw(i + 1), kept = order[i];
    order[i] = order[j], order[j] = kept;
  }
  for (u32 i = 0; i + 1 < count; i += 2) lines[order[i]].partner = order[i + 1], lines[order[i + 1]].partner = order[i];
  if (count % 2 == 1) lines[order[count - 1]].partner = order[count - 1];
  free(order);
}

static void send_due(u64 now) {
  while (loop.is_sending) {
    u64 due = loop.start_ns + loop.messages * loop.interval_ns;
    if (due > now) return;
    loop.messages++;
    u32 index = draw(count);
    if (lines[index].state == LIVE && lines[index].partner != index) send_message(index, due);
  }
}

static void beat_due(u64 now) {
  while (loop.is_beating) {
    u64 due = loop.start_ns + loop.heartbeats * (loop.heartbeat_ns / count);
    if (due > now) return;
    struct line *line = &lines[loop.heartbeats++ % count];
    if (line->state != LIVE) continue;
    n.pings++;
    line->is_pinged = 1;
    line->at_ns = due;
    send_simple(line, H->ping, H->ping_bytes, loop.heartbeats & 0xffffff);
  }
}

/* --- commands and reports ---------------------------------------------------------------------------------------------- */

static void cut(void) {
  struct linger hard = {.l_onoff = 1, .l_linger = 0};
  for (u32 i = 0; i < count; i++) {
    if (lines[i].fd < 0) continue;
    setsockopt(lines[i].fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    drop(&lines[i]);
    lines[i].state = AWAY;
  }
  live = dialling = waiting = next_dial = dialling_max = 0;
  loop.is_sending = loop.is_beating = 0;
  printf("E cut\n");
}

static void obey(const char *command) {
  unsigned long long start, rate, heartbeat, given;
  unsigned parallel;
  if (sscanf(command, "login %u", &parallel) == 1) dialling_max = parallel;
  else if (sscanf(command, "go %llu %llu %llu %llu", &start, &rate, &heartbeat, &given) == 4) {
    seed = given | 1;
    match();
    loop.start_ns = start;
    loop.interval_ns = rate > 0 ? 1000 * SECOND / rate : 0;
    loop.heartbeat_ns = heartbeat * MILLI;
    loop.messages = loop.heartbeats = 0;
    loop.is_sending = rate > 0;
    loop.is_beating = heartbeat > 0;
  } else if (strncmp(command, "stop", 4) == 0) loop.is_sending = loop.is_beating = 0;
  else if (strncmp(command, "cut", 3) == 0) cut();
  else if (strncmp(command, "quit", 4) == 0) exit(0);
}

/* Returns 0 when the parent is gone. */
static int take_commands(void) {
  static char text[4096];
  static size_t length;
  ssize_t got = read(0, text + length, sizeof text - 1 - length);
  if (got == 0) return 0;
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  length += (size_t)got;
  text[length] = 0;
  for (char *newline; (newline = memchr(text, '\n', length)) != NULL;) {
    *newline = 0;
    obey(text);
    size_t used = (size_t)(newline - text) + 1;
    memmove(text, newline + 1, length - used);
    length -= used;
  }
  return length < sizeof text - 1;
}

/* S: counters since the start. C: closes by code. H: what came into a histogram since the last report, bucket:count. */
static void report(void) {
  typedef unsigned long long ull;
  printf("S %u %u %u %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu\n", live, dialling, waiting, (ull)n.sent, (ull)n.acked,
         (ull)n.delivered, (ull)n.receipts, (ull)n.pings, (ull)n.pongs, (ull)n.closed, (ull)n.deferred, (ull)n.refused,
         (ull)n.duplicates, (ull)n.gaps, (ull)cpu_us());
  for (int i = 0; i < CODES && closes[i].count > 0; i++) printf("C %d %llu\n", closes[i].code, (ull)closes[i].count);
  for (int which = 0; which < HISTOGRAMS; which++) report_histogram(HISTOGRAM_NAMES[which], &histograms[which]);
  printf("T\n");
  fflush(stdout);
}

/* --- the start ------------------------------------------------------------------------------------------------------------ */

static void load(const char *path) {
  struct stat info;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &info) != 0) fatal("the file of accounts cannot be read");
  u8 *memory = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (memory == MAP_FAILED) fatal("the file of accounts cannot be mapped");
  H = (struct header *)memory;
  if (memcmp(H->magic, "BBHOLD1", 8) != 0 || (u64)info.st_size < sizeof *H + (u64)H->accounts * H->record_bytes) fatal("no file of accounts");
  if (H->ciphertext_bytes < STAMP_BYTES || H->ciphertext_bytes > 1024 || H->label_bytes > 64 || H->resume_bytes > 400) fatal("bounds");
  records = memory + sizeof *H;
  count = H->accounts;
  lines = calloc(count, sizeof *lines);
  if (lines == NULL) fatal("no memory");
  for (u32 i = 0; i < count; i++) lines[i].fd = -1;
}

static void raise_limit(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

static void address(char *host, char *port, char *list) {
  server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (inet_pton(AF_INET, host, &server.sin_addr) != 1) fatal("the host is no IPv4 address");
  for (char *each = strtok(list, ","); each != NULL && source_count < SOURCES; each = strtok(NULL, ","))
    if (inet_pton(AF_INET, each, &sources[source_count++]) != 1) fatal("a source is no IPv4 address");
  if (source_count == 0) fatal("no source");
}

static u64 reported_ns;

/*
 * Milliseconds until something is due: a generator that woke up for nothing would take from the servers beside it. Commands and sockets
 * wake it by themselves; who waits to come back has drawn some milliseconds.
 */
static int patience_ms(void) {
  u64 now = now_ns(), due = waiting > 0 ? now + 20 * MILLI : reported_ns + SECOND;
  u64 message = loop.start_ns + loop.messages * loop.interval_ns;
  u64 beat = loop.start_ns + loop.heartbeats * (loop.heartbeat_ns / count);
  if (loop.is_sending && message < due) due = message;
  if (loop.is_beating && beat < due) due = beat;
  return due <= now ? 0 : (int)((due - now + MILLI - 1) / MILLI);
}

static void serve_once(struct epoll_event *events) {
  int found = epoll_wait(poll_fd, events, EVENTS, patience_ms());
  for (int i = 0; i < found; i++) {
    u32 index = events[i].data.u32;
    if (index == UINT32_MAX) {
      if (!take_commands()) exit(0);
    } else if (lines[index].fd >= 0 && lines[index].state == CONNECTING) connected(&lines[index]);
    else if (lines[index].fd >= 0) readable(&lines[index]);
  }
}

int main(int argc, char **argv) {
  static struct epoll_event events[EVENTS];
  if (argc != 5) fatal("usage: hold ACCOUNTS HOST PORT SOURCE[,SOURCE...]");
  raise_limit();
  load(argv[1]);
  address(argv[2], argv[3], argv[4]);
  poll_fd = epoll_create1(0);
  fcntl(0, F_SETFL, O_NONBLOCK);
  struct epoll_event commands = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &commands);
  for (reported_ns = now_ns();;) {
    serve_once(events);
    dial_more();
    u64 now = now_ns();
    send_due(now);
    beat_due(now);
    if (now - reported_ns < SECOND) continue;
    reported_ns += SECOND * ((now - reported_ns) / SECOND);
    report();
  }
}
