/* CRC-32 (IEEE 802.3, reflected) by a table of 256 words. */
static unsigned table[256];
static unsigned char data[1 << 14];

static void prepare(void)
{
	for (unsigned i = 0; i < 256; i++) {
		unsigned c = i;
		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
		table[i] = c;
	}
	for (unsigned i = 0; i < sizeof data; i++)
		data[i] = i * 7 + (i >> 8);
}

unsigned kernel(unsigned n)
{
	unsigned crc = ~0u;

	prepare();
	for (unsigned r = 0; r < n; r++)
		for (unsigned i = 0; i < sizeof data; i++)
			crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}
