/*
 * What the native engine does most with lists and texts, without what few of them need. For the rest there are the runtime's own
 * functions, under the names that the build gives them.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "scr_runtime.h"

void *patchbay_rare_element(ScrArr *list, double index);
void patchbay_release_last(ScrArr *list);
double patchbay_long_length(ScrStr *text);

/* An element, with one reference more. Rare: an index that is no place of the list, a gap, a list with gaps. */
void *scr_arr_get_ref(ScrArr *list, double index) {
  size_t room = list->cap < list->len ? list->cap : list->len;
  if (!(index >= 0 && index < (double)(int64_t)room)) return patchbay_rare_element(list, index);
  size_t place = (size_t)(int64_t)index;
  if ((double)(int64_t)place != index || list->present[place] != SCR_ARR_VALUE) return patchbay_rare_element(list, index);
  void *element = (void *)(uintptr_t)list->data[place];
  if (element == NULL) return NULL;
  if (list->elem == SCR_ELEM_STR) return scr_str_retain(element);
  if (list->elem == SCR_ELEM_REF) return list->elem_retain(element);
  return patchbay_rare_element(list, index);
}

/* One reference less. The last one takes the elements along. */
void scr_arr_release(ScrArr *list) {
  if (list == NULL || list->rc == SIZE_MAX) return;
  if (list->rc == 1) {
    patchbay_release_last(list);
    return;
  }
  list->rc--;
  if (list->elem_trace != NULL) scr_cyc_on_release(list);
}

#define SHORT 64u

/* Units of UTF-16. The runtime makes and keeps an index of a text for this; a short one in ASCII has as many as bytes. */
double scr_str_utf16_len(ScrStr *text) {
  size_t length = text->len;
  if (length > SHORT) return patchbay_long_length(text);
  uint64_t all = 0;
  size_t at = 0;
  for (; at + sizeof all <= length; at += sizeof all) {
    uint64_t eight;
    memcpy(&eight, text->data + at, sizeof eight);
    all |= eight;
  }
  for (; at < length; at++) all |= (unsigned char)text->data[at];
  return (all & 0x8080808080808080u) == 0 ? (double)(int64_t)length : patchbay_long_length(text);
}
