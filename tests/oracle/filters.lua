-- Prints the frame numbers that pass each filter of a file with one a line, all in one run of tshark.
local filters = {}
for line in io.lines(os.getenv("SYNFIN_FILTERS")) do filters[#filters + 1] = line end
for i, filter in ipairs(filters) do
  local frames = {}
  local ok, tap = pcall(Listener.new, "frame", filter)
  if ok then
    tap.packet = function(pinfo) frames[#frames + 1] = pinfo.number end
    tap.draw = function() print("passed", i, table.concat(frames, " ")) end
  else
    print("refused", i, (tostring(tap):gsub("%s+", " ")))
  end
end
