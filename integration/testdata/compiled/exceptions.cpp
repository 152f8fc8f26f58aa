// Exceptions in every shape that the compiler lays out differently: the
// number of frames between throw and catch, what the frames in between clean
// up, who catches what.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>

#define NOINLINE __attribute__((noinline))

static int alive;

struct Trace {
	const char *name;
	explicit Trace(const char *n) : name(n) { alive++; printf("  + %s\n", name); }
	Trace(const Trace &o) : name(o.name) { alive++; }
	~Trace() { alive--; printf("  - %s\n", name); }
};

struct Base { virtual ~Base() {} virtual int code() const { return 1; } };
struct Left : virtual Base { int code() const override { return 2; } };
struct Right : virtual Base { int code() const override { return 3; } };
struct Both : Left, Right { int code() const override { return 4; } };

NOINLINE void deep(int n, int what) {
	Trace t(n % 2 ? "odd" : "even");
	volatile char frame[100];
	frame[n % 100] = 1;
	if (n > 0) {
		deep(n - 1, what);
		printf("never %d\n", frame[0]);
		return;
	}
	switch (what) {
	case 0: throw 42;
	case 1: throw std::runtime_error("runtime");
	case 2: throw Both();
	case 3: throw std::string("a string that is long enough for the heap");
	case 4: throw "literal";
	case 5: { std::vector<int> v(3); v.at(7) = 1; break; }
	case 6: { std::function<void()> f; f(); break; }
	case 7: { Base *b = new Left; dynamic_cast<Both &>(*b).code(); break; }
	case 8: { delete[] new char[std::size_t(-1) / 2 - what]; break; }
	case 9: throw 2.5L;
	}
}

NOINLINE int caught(int what, int depth) {
	try {
		deep(depth, what);
	} catch (int i) {
		printf("int %d\n", i);
		return 1;
	} catch (const std::out_of_range &) {
		printf("out_of_range\n");
		return 2;
	} catch (const std::bad_alloc &e) {
		printf("bad_alloc %s\n", e.what());
		return 3;
	} catch (const std::exception &e) {
		printf("exception %s\n", e.what());
		return 4;
	} catch (Base &b) {
		printf("base %d\n", b.code());
		return 5;
	} catch (const std::string &s) {
		printf("string %s\n", s.c_str());
		return 6;
	} catch (const char *s) {
		printf("chars %s\n", s);
		return 7;
	} catch (...) {
		printf("something\n");
		return 8;
	}
	return 0;
}

NOINLINE void rethrows(int n) {
	try {
		if (n == 0)
			throw std::logic_error("inner");
		rethrows(n - 1);
	} catch (std::exception &e) {
		Trace t("handler");
		printf("level %d: %s\n", n, e.what());
		if (n % 3 == 1)
			throw std::runtime_error(std::string(e.what()) + "+");
		throw;
	}
}

NOINLINE int loop(int n) {
	int sum = 0;
	for (int i = 0; i < n; i++) {
		try {
			Trace t("step");
			if (i % 3 == 0)
				throw i;
			sum += 1;
			if (i % 3 == 1)
				continue;
			sum += 10;
		} catch (int k) {
			sum += 100 * k;
			if (k > 8)
				break;
		}
	}
	return sum;
}

struct Throws {
	Trace a{"member a"};
	std::vector<Trace> v;
	Trace b{"member b"};
	explicit Throws(int n) {
		v.emplace_back("element");
		if (n > 2)
			throw n;
	}
	~Throws() noexcept(false) { if (!std::uncaught_exceptions()) throw std::runtime_error("from destructor"); }
};

NOINLINE void functionTry(int n) try {
	Throws t(n);
} catch (int i) {
	printf("function try block %d\n", i);
}

NOINLINE void nested() {
	try {
		try {
			throw std::runtime_error("low");
		} catch (...) {
			std::throw_with_nested(std::logic_error("high"));
		}
	} catch (const std::exception &e) {
		printf("%s", e.what());
		try {
			std::rethrow_if_nested(e);
		} catch (const std::exception &in) {
			printf(" over %s\n", in.what());
		}
	}
}

NOINLINE void stored() {
	std::exception_ptr p;
	try {
		deep(2, 1);
	} catch (...) {
		p = std::current_exception();
	}
	for (int i = 0; i < 2; i++) {
		try {
			std::rethrow_exception(p);
		} catch (const std::runtime_error &e) {
			printf("stored %s\n", e.what());
		}
	}
}

// Registers that must be preserved hold values across a throw.
NOINLINE long preserved(long a, long b, long c, long d, long e, double x) {
	long r = a * 3 + b * 5 + c * 7 + d * 11 + e * 13;
	for (int i = 0; i < 3; i++) {
		try {
			deep(i, 0);
		} catch (int k) {
			r = r * 31 + k + a - b + c - d + e + long(x * 8);
		}
	}
	return r + a + b + c + d + e;
}

NOINLINE int compare(const void *a, const void *b) {
	if (*(const int *)a == 5)
		throw 5;
	return *(const int *)a - *(const int *)b;
}

static void terminated() {
	printf("terminated, %d alive\n", alive);
	fflush(stdout);
	_Exit(3);
}

NOINLINE void never() noexcept { deep(1, 0); }

int main(int argc, char **argv) {
	setvbuf(stdout, nullptr, _IOLBF, 1024);
	for (int what = 0; what < 10; what++)
		printf("=> %d\n", caught(what, what % 4));
	try {
		rethrows(5);
	} catch (const std::exception &e) {
		printf("outermost %s %s\n", e.what(), typeid(e).name());
	}
	printf("loop %d\n", loop(20));
	functionTry(1 + 2 * argc);
	try {
		functionTry(0);
	} catch (const std::exception &e) {
		printf("%s\n", e.what());
	}
	nested();
	stored();
	printf("preserved %ld\n", preserved(argc, 2, 3, 4, 5, 1.5));
	int numbers[] = {9, 5, 7, 1};
	try {
		qsort(numbers, 4, sizeof *numbers, compare); // through a C library's frames
	} catch (int i) {
		printf("through qsort %d\n", i);
	}
	printf("%d alive\n", alive);
	std::set_terminate(terminated);
	never();
}
