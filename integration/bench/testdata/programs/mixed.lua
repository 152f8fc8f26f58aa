-- Tables, closures, strings and floating point.
local function sieve(n)
  local composite, count = {}, 0
  for i = 2, n do
    if not composite[i] then
      count = count + 1
      for j = i * i, n, i do composite[j] = true end
    end
  end
  return count
end

local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end

local function words(n)
  local seen, parts = {}, {}
  for i = 1, n do
    local w = string.format("%x", i * 2654435761 % 65536)
    seen[w] = (seen[w] or 0) + 1
    if i % 100 == 0 then parts[#parts + 1] = w:upper():reverse() end
  end
  local text = table.concat(parts, " ")
  local hits = 0
  for w in text:gmatch("%w+") do if w:find("^A%d") then hits = hits + 1 end end
  table.sort(parts)
  return hits, parts[1], parts[#parts]
end

local function matrix(n)
  local a = {}
  for i = 1, n do a[i] = {} for j = 1, n do a[i][j] = (i * j % 7) / 3 end end
  local sum = 0.0
  for i = 1, n do
    for j = 1, n do
      local s = 0.0
      for k = 1, n do s = s + a[i][k] * a[k][j] end
      sum = sum + s
    end
  end
  return sum
end

print(sieve(1000000), fib(29))
print(words(150000))
print(string.format("%.6f", matrix(90)))
