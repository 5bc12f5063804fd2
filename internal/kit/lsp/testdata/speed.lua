-- Types into long.yaml and measures until the diagnostics are there, 20 times.
vim.notify = function() end
local client = vim.lsp.start_client({ cmd = { os.getenv("PROGRAM"), "registry", "lsp" }, root_dir = vim.fn.getcwd() })
vim.cmd("edit long.yaml")
vim.lsp.buf_attach_client(0, client)
assert(vim.wait(20000, function() return vim.lsp.get_client_by_id(client) and vim.lsp.get_client_by_id(client).initialized end, 5))
vim.wait(1000)
local number = vim.fn.search("type: int")
local line = vim.fn.getline(number)
local times = {}
for i = 1, 20 do
	local faulty = i % 2 == 1
	local began = vim.loop.hrtime()
	vim.api.nvim_buf_set_lines(0, number - 1, number, false, { faulty and line:gsub("int", "intx") or line })
	assert(vim.wait(20000, function() return (#vim.diagnostic.get(0) > 0) == faulty end, 1))
	table.insert(times, (vim.loop.hrtime() - began) / 1e6)
end
table.sort(times)
print(string.format("\nmedian %.1f\nlongest %.1f\n", times[10], times[20]))
vim.cmd("qall!")
