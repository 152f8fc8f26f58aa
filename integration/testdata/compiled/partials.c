#define MORE
#include "threaded.c"
