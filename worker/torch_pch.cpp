// Gives the precompiled LibTorch header a translation unit of its own; every worker library reuses it.
