"""An example of a file, to be filled in."""

TEMPLATE = """\
# Measurements for 'nearfield locate'. Lines that begin with # are comments; other columns are ignored, by name.
# sensor: a name, optional. Rows of one name are snapshots of one sensor; without names, rows of one place are.
# range_m, angle_deg: from the array's centre, the angle from its axis: 90 is straight ahead. Or x_m (ahead) and y_m
#   (along the axis), or latitude and longitude with --array LATITUDE,LONGITUDE,BEARING.
# power_dbm: the power received, or power_mw, power_w; a snapshot's, or the mean of as many as 'snapshots' says, or
#   --snapshots. Where nothing was measured: empty, n/a, NaN; where a value stands for that: --not-heard VALUE.
sensor,range_m,angle_deg,power_dbm,snapshots
S1,120.5,62.5,-79.2,50
S2,118.7,84.7,-78.2,50
S3,117.4,107.5,-68.2,50
S4,104.1,121.0,,50
"""
