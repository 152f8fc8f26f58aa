-- Some thousand statements' worth of inserts, lookups, joins, an index and sorts.
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, kind INTEGER);
CREATE TABLE sale(item INTEGER, day INTEGER, amount INTEGER);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO item SELECT i, 'item ' || (i * 7919 % 20011), (i * 37 % 1000) / 10.0, i % 17 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
INSERT INTO sale SELECT i * 7907 % 20000 + 1, i % 365, i * 31 % 50 FROM n;
COMMIT;
CREATE INDEX sale_item ON sale(item);
SELECT kind, count(*), round(sum(price * amount), 1) FROM item JOIN sale ON item.id = sale.item GROUP BY kind ORDER BY kind;
SELECT name, sum(amount) AS total FROM item JOIN sale ON item.id = sale.item GROUP BY item.id ORDER BY total DESC, name LIMIT 20;
SELECT count(*) FROM item WHERE name LIKE '%19%' AND id IN (SELECT item FROM sale WHERE day BETWEEN 100 AND 200);
UPDATE item SET price = price * 1.1 WHERE id % 3 = 0;
DELETE FROM sale WHERE amount < 5;
SELECT round(avg(price), 4), min(name), max(name) FROM item;
SELECT day, group_concat(n, ' ') FROM (SELECT day, item % 10 AS n FROM sale WHERE day % 91 = 0 ORDER BY day, item LIMIT 500) GROUP BY day;
