/* A small JSON reader: text to a tree, without numbers beyond a double. For the conformance runner and for tests that look
 * into what the library prints. A tree is released with json_free. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT } json_kind;

typedef struct json {
  json_kind kind;
  char *key; /* in an object */
  char *text; /* ends in NUL, and may hold others */
  size_t length;
  double number; /* 1 for true */
  struct json *child, *next;
} json;

static inline void json_free(json *value) {
  while (value != NULL) {
    json *next = value->next;
    json_free(value->child);
    free(value->key);
    free(value->text);
    free(value);
    value = next;
  }
}

static inline void json_space(const char **at) {
  *at += strspn(*at, " \t\r\n");
}

static inline size_t json_utf8(unsigned code, char *out) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  size_t count = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = count - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
  out[0] = (char)((0xf0u << (4 - count)) | code);
  return count;
}

static inline bool json_hex4(const char *at, unsigned *code) {
  *code = 0;
  for (int i = 0; i < 4; i++) {
    const char *digits = "0123456789abcdef";
    const char *found = at[i] == '\0' ? NULL : strchr(digits, at[i] | 0x20);
    if (found == NULL) return false;
    *code = *code * 16 + (unsigned)(found - digits);
  }
  return true;
}

/* The string that begins at the quote; null if it is malformed. */
static inline char *json_string(const char **at, size_t *length) {
  const char *from = *at;
  if (*from++ != '"') return NULL;
  char *out = (char *)malloc(strlen(from) + 1);
  size_t used = 0;
  while (out != NULL && *from != '"' && *from != '\0') {
    if (*from != '\\') {
      out[used++] = *from++;
      continue;
    }
    const char *names = "\"\\/bfnrt", *values = "\"\\/\b\f\n\r\t";
    const char *name = from[1] == '\0' ? NULL : strchr(names, from[1]);
    unsigned code = 0, low = 0;
    if (name != NULL) {
      out[used++] = values[name - names];
      from += 2;
    } else if (from[1] == 'u' && json_hex4(from + 2, &code)) {
      from += 6;
      if (code >= 0xd800 && code < 0xdc00 && from[0] == '\\' && from[1] == 'u' && json_hex4(from + 2, &low)) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        from += 6;
      }
      used += json_utf8(code, out + used);
    } else {
      break;
    }
  }
  if (out == NULL || *from != '"') {
    free(out);
    return NULL;
  }
  out[used] = '\0';
  *length = used;
  *at = from + 1;
  return out;
}

static inline json *json_value(const char **at, int depth);

static inline bool json_members(const char **at, json *parent, char end, int depth) {
  json **last = &parent->child;
  ++*at;
  json_space(at);
  if (**at == end) return ++*at, true;
  for (;;) {
    char *key = NULL;
    size_t ignored;
    json_space(at);
    if (end == '}') {
      key = json_string(at, &ignored);
      json_space(at);
      if (key == NULL || *(*at)++ != ':') return free(key), false;
    }
    json *value = json_value(at, depth + 1);
    if (value == NULL) return free(key), false;
    value->key = key;
    *last = value;
    last = &value->next;
    json_space(at);
    if (**at == end) return ++*at, true;
    if (*(*at)++ != ',') return false;
  }
}

static inline json *json_value(const char **at, int depth) {
  json *value = (json *)calloc(1, sizeof *value);
  bool good = value != NULL && depth < 64;
  json_space(at);
  if (!good) {
    /* too deep, or no memory */
  } else if (**at == '{' || **at == '[') {
    value->kind = **at == '{' ? JSON_OBJECT : JSON_ARRAY;
    good = json_members(at, value, value->kind == JSON_OBJECT ? '}' : ']', depth);
  } else if (**at == '"') {
    value->kind = JSON_TEXT;
    good = (value->text = json_string(at, &value->length)) != NULL;
  } else if (strncmp(*at, "true", 4) == 0 || strncmp(*at, "false", 5) == 0) {
    value->kind = JSON_BOOL;
    value->number = **at == 't';
    *at += **at == 't' ? 4 : 5;
  } else if (strncmp(*at, "null", 4) == 0) {
    *at += 4;
  } else {
    char *end;
    value->kind = JSON_NUMBER;
    value->number = strtod(*at, &end);
    good = end != *at && strchr("-0123456789", **at) != NULL;
    *at = end;
  }
  if (good) return value;
  json_free(value);
  return NULL;
}

/* The tree of a text; null if it is not JSON. */
static inline json *json_parse(const char *text) {
  json *value = json_value(&text, 0);
  json_space(&text);
  if (value == NULL || *text == '\0') return value;
  json_free(value);
  return NULL;
}

static inline json *json_get(const json *object, const char *key) {
  json *member = object == NULL ? NULL : object->child;
  while (member != NULL && (member->key == NULL || strcmp(member->key, key) != 0)) member = member->next;
  return member;
}

/* A member by keys with dots between them. */
static inline json *json_path(json *object, const char *path) {
  char key[128];
  size_t length = strcspn(path, ".");
  if (length >= sizeof key) return NULL;
  memcpy(key, path, length);
  key[length] = '\0';
  json *member = json_get(object, key);
  return path[length] == '\0' || member == NULL ? member : json_path(member, path + length + 1);
}

static inline bool json_is_text(const json *value, const char *text) {
  return value != NULL && value->kind == JSON_TEXT && strcmp(value->text, text) == 0;
}

#endif
